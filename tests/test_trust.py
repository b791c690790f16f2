"""What a checkpoint of a stranger cannot do: nothing outside the list is imported or called, or read."""

import copy
import importlib
import inspect
import os
import pkgutil
import sys
from pathlib import Path

import lightning as L
import pytest
import soundfile
import torch
import yaml

from drumblender.checkpoints import build
from drumblender.cli import run
from drumblender.config_check import argument_types, checked_config
from drumblender.console import UsageError
from drumblender.trust import LISTED, OWN_PACKAGES, Trust, UntrustedError, check_training, plain_copy, trusted

TINY = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text())
GOOD = {key: TINY[key] for key in ("model", "data")}
SOURCE = "a.ckpt"


def with_loss(spec):
    config = copy.deepcopy(GOOD)
    config["model"]["init_args"]["loss"] = spec
    return config


def part(class_path, **init_args):
    return {"class_path": class_path, "init_args": init_args}


def places(value, path=()):
    """Every place of a configuration where a part stands, or could."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict):
                yield (*path, key)
            yield from places(item, (*path, key))


def replaced(path, value):
    config = copy.deepcopy(GOOD)
    *parents, last = path
    inner = config
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return config


def test_what_a_run_saves_passes_unchanged():
    checked = checked_config(GOOD, source=SOURCE)
    assert checked == GOOD and checked["model"] is not GOOD["model"]
    task, data = build(GOOD)
    assert task.sample_rate == data.sample_rate == 16000


REFUSED = {
    "a function": part("torch.fx.graph_module.reduce_graph_module", import_block="", body={}),
    "a foreign class": part("torch.ao.quantization.DeQuantStub"),
    "the standard library": part("subprocess.Popen", args=["touch", "sprung"]),
    "a function of ours": part("drumblender.checkpoint_file.read_checkpoint", path="sprung"),
    "a module of ours that is no part": part("drumblender.__main__.main"),
    "a function of a part": part("drumblender.losses.spectral.Tensor"),
    "a foreign class that ours import": part("drumblender.tasks.base.ABC"),
    "a foreign module that ours import": part("drumblender.tasks.base.torch.nn.L1Loss"),
    "a class inside": part(
        "drumblender.losses.WeightedLoss", losses={"a": part("os.system", command="touch sprung")}
    ),
    "text as a class": "torch.nn.L1Loss",
    "text as a file": "../../losses/mrstft.yaml",
    "text that is YAML": "{class_path: os.system, init_args: {command: touch sprung}}",
    "text inside": part("drumblender.losses.WeightedLoss", losses={"a": "losses/mrstft.yaml"}),
    "text instead of a mapping": part("drumblender.losses.WeightedLoss", losses="losses.yaml"),
    "more arguments": part("drumblender.losses.MultiResolutionSTFTLoss") | {"dict_kwargs": {"a": 1}},
    "a dotted argument": part("drumblender.losses.WeightedLoss", **{"losses.a.class_path": "os.system"}),
    "a setting of the parser": part("drumblender.losses.MultiResolutionSTFTLoss", __path__="x"),
    "no dot at all": part("L1Loss"),
    "a number": part(7),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_nothing_outside_the_list_is_imported_or_called(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    with pytest.raises(ValueError, match=r"^a\.ckpt: model\.loss") as refused:
        build(with_loss(REFUSED[kind]), source=SOURCE)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250
    assert not {name for name in set(sys.modules) - before if not name.startswith("drumblender.")}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", list(places(GOOD)), ids=".".join)
def test_the_list_holds_at_every_place(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = part("torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler", args=["x"])
    with pytest.raises(UntrustedError):
        checked_config(replaced(path, bad), source=SOURCE)


def cyclic():
    config = copy.deepcopy(GOOD)
    config["model"]["init_args"]["voices"]["modal"]["synth"] = config["model"]
    return config


def bomb():
    value = "a"
    for _ in range(12):
        value = [value] * 10
    return with_loss(part("drumblender.losses.WeightedLoss", losses=value))


@pytest.mark.parametrize(
    "config, words",
    [
        (cyclic(), "cyclic or far too large"),
        (bomb(), "cyclic or far too large"),
        (with_loss({"class_path": torch.ones(2)}), "holds a Tensor"),
        ({"model": 3, "data": GOOD["data"]}, "its model names no class"),
        ([], "not a mapping"),
        (with_loss(part("drumblender.losses.NoSuchLoss")), "does not exist"),
        (with_loss({"class_path": "torch.nn.L1Loss", "init_args": 3}), "no mapping"),
        (replaced(("data", "init_args", "num_sounds"), 10**30), "a number of 31 digits"),
    ],
)
def test_a_malformed_configuration_is_told_in_words(config, words):
    with pytest.raises(ValueError, match=words):
        checked_config(config, source=SOURCE)


def test_a_module_of_the_user_opens_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_parts.py").write_text(
        "from drumblender.losses import MultiResolutionSTFTLoss\n"
        "class Mine(MultiResolutionSTFTLoss):\n    pass\n"
        "def make(): open('sprung', 'w')\n"
        "from subprocess import Popen\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UntrustedError, match="if you trust it, add --trust my_parts"):
        build(with_loss(part("my_parts.Mine")))
    assert "my_parts" not in sys.modules
    trust = Trust(("my_parts",))
    task, _ = build(with_loss(part("my_parts.Mine")), trust=trust)
    assert type(task.loss).__name__ == "Mine"
    for name in ("make", "Popen"):
        with pytest.raises(UntrustedError):
            build(with_loss(part(f"my_parts.{name}", args=["true"])), trust=trust)
    assert not Path("sprung").exists()
    sys.modules.pop("my_parts")


def test_an_imported_configuration_names_the_parts_of_trainings_only():
    check_training(
        {"trainer": {"callbacks": [part("lightning.pytorch.callbacks.EarlyStopping")]}}, source="b"
    )
    with pytest.raises(UntrustedError, match="trainer"):
        check_training({"trainer": {"logger": part("os.system", command="x")}}, source="b")


def test_presets_are_read_where_they_are_shipped_alone():
    def mapping(**init_args):
        controls = part("drumblender.controllers.MappedControls", **init_args)
        return {"model": part("drumblender.tasks.RemapTask", controls=controls)}

    shipped = mapping(preset="cfg/presets/808_snare_1.json")
    assert checked_config(shipped, source=SOURCE) == shipped
    for path in ("/etc/passwd", "/dev/zero", "mine.json", "cfg/../../secret.json"):
        assert checked_config(mapping(preset=path), source=SOURCE) == mapping(preset=None)
        other = {"model": part("drumblender.tasks.RemapTask", preset=path)}
        with pytest.raises(UntrustedError, match="no preset of drumblender"):
            checked_config(other, source=SOURCE)


def test_copies_hold_plain_values_only():
    assert plain_copy({"a": (1, None, True)}, source="x") == {"a": [1, None, True]}
    with pytest.raises(ValueError, match="holds a set"):
        plain_copy({"a": {1}}, source="x")


def own_classes():
    """Every class of the package that a configuration may name."""
    for package in OWN_PACKAGES:
        found = importlib.import_module(f"drumblender.{package}")
        names = [found.__name__]
        names += [info.name for info in pkgutil.walk_packages(found.__path__, f"{found.__name__}.")]
        for name in names:
            if ".kernels" in name or "_cuda" in name:
                continue
            for each in vars(importlib.import_module(name)).values():
                if inspect.isclass(each) and each.__module__ == name:
                    yield each


def mentions(hint):
    yield hint
    for inner in getattr(hint, "__args__", ()):
        if not isinstance(inner, str):
            yield from mentions(inner)


def test_no_argument_of_ours_takes_anything_a_function_or_a_class():
    """A slot for any value would let text through to the parser, which would make a part of it."""
    for each in own_classes():
        if not issubclass(each, torch.nn.Module | L.LightningDataModule):
            continue
        for name, hint in argument_types(each).items():
            wide = [
                h for h in mentions(hint) if h in (object, type) or getattr(h, "__origin__", None) is type
            ]
            assert not wide, f"{each.__module__}.{each.__name__}: {name} takes {hint}"


def callables_of(packages, limit):
    """Importable callables of libraries, by their dotted names; a spread sample of them."""
    found = {}
    for package in packages:
        for name, module in sorted(sys.modules.items()):
            if module is None or (name != package and not name.startswith(f"{package}.")):
                continue
            for attribute, value in list(vars(module).items()):
                if callable(value) and attribute.isidentifier():
                    found[f"{name}.{attribute}"] = value
    names = sorted(set(found) - LISTED)
    return names[:: max(1, len(names) // limit)]


LIBRARIES = (
    "torch",
    "lightning",
    "torchmetrics",
    "numpy",
    "numba",
    "scipy",
    "soundfile",
    "yaml",
    "os",
    "subprocess",
)


def test_no_callable_of_the_libraries_is_ever_called(monkeypatch, tmp_path):
    """Each in every place of a model and its data; all of them with DRUMBLENDER_LONG=1."""
    long = bool(os.environ.get("DRUMBLENDER_LONG"))
    names = callables_of(LIBRARIES, 10**9 if long else 150)
    monkeypatch.chdir(tmp_path)
    imported, ran = [], []
    original = importlib.import_module

    def watched(name, package=None):
        imported.append(name)
        return original(name, package)

    monkeypatch.setattr("drumblender.config_check.import_module", watched)
    for index, name in enumerate(names):
        ways = list(places(GOOD)) if long else list(places(GOOD))[index % 7 :: 7]
        for path in ways:
            with pytest.raises(UntrustedError):
                ran.append(build(replaced(path, part(name)), source=SOURCE))
            with pytest.raises((UntrustedError, ValueError)):
                ran.append(build(replaced(path, name), source=SOURCE))
    assert len(names) > 100 and not ran
    assert all(name.split(".")[0] == "drumblender" or name.rpartition(".")[0] in LISTED for name in imported)


def test_a_trusted_module_that_is_not_there_is_told_and_none_is_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("no_such_module", "no_such_module.inner"):
        with pytest.raises(UsageError, match=f"--trust {name}: there is no module no_such_module"):
            trusted([name])
    (tmp_path / "sprung_parts.py").write_text("raise SystemExit('imported')")
    assert trusted(["sprung_parts", "sprung_parts.Bell", "os.path"]).modules[0] == "sprung_parts"
    assert "sprung_parts" not in sys.modules


@pytest.mark.parametrize(
    "line",
    [
        "synth checkpoints/quickstart {wav} o.wav",
        "blend checkpoints/quickstart o.wav --modal {wav}",
        "transfer checkpoints/guitar {wav} o.wav",
        "pitch {wav} o.csv --tracker yin",
        "export checkpoints/remap_maple o.pt",
        "audit cfg/losses/transport.yaml",
        "test checkpoints/quickstart",
    ],
)
def test_every_verb_tells_that_a_trusted_module_is_not_there(tmp_path, monkeypatch, capsys, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    soundfile.write("in.wav", torch.linspace(-0.5, 0.5, 16000).numpy(), 16000)
    assert run([*line.format(wav="in.wav").split(), "--trust", "no_such_module"]) == 2
    assert "there is no module no_such_module" in capsys.readouterr().err
