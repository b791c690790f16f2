"""Every shipped configuration is whole: parts can be built, systems train a step."""

import inspect
from importlib import import_module
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import ModelCheckpoint
from made_up import write_hits
from torchmetrics import Metric

from drumblender.callbacks import RelativeCheckpoint
from drumblender.lightning_cli import TaskCLI, run_verb
from drumblender.shipped import shipped_dir
from drumblender.synths import Room

CFG = shipped_dir("cfg")
PARTS = sorted(
    path
    for folder in ("controllers", "data", "encoders", "features", "losses", "synths")
    for path in (CFG / folder).rglob("*.yaml")
)
SYSTEMS = {
    "drums": lambda folder: ["--data", "made_up.ModalBatches"],
    "strings": lambda folder: ["--data", "made_up.StringBatches"],
    "pitch": lambda folder: ["--data", "made_up.ToneBatches"],
    "guitar": lambda folder: ["--data", "made_up.PhraseBatches"],
    "remap": lambda folder: ["--data.path", write_hits(folder / "hits")],
}
KEEPS = CFG / "guitar" / "keep_epochs.yaml"
RUNS = [
    [CFG / f"{system}.yaml", *variant]
    for system in SYSTEMS
    for variant in [[], *([path] for path in sorted((CFG / system).glob("*.yaml")))]
    if KEEPS not in variant  # which has a test of its own
]
PUBLISHED_GUITAR = CFG / "guitar" / "published.yaml"
SIZES = {"standard": 3_393_766, "deep": 15_988_966, "extra_deep": 35_856_664, "tiny_no_noise": 877_734}
SIZES |= {f"{name}_no_noise": SIZES[name] for name in ("deep", "extra_deep")}


def relative(value):
    paths = value if isinstance(value, list) else [value]
    return "+".join(str(path.relative_to(CFG)) for path in paths)


@pytest.mark.parametrize("path", PARTS, ids=relative)
def test_a_part_can_be_built(path):
    from importlib import import_module

    module, name = yaml.safe_load(path.read_text())["class_path"].rsplit(".", 1)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(getattr(import_module(module), name), "part", required=True)
    part = parser.instantiate(parser.parse_args(["--part", str(path)])).part
    assert type(part).__name__ == name


@pytest.mark.parametrize("path", sorted((CFG / "metrics").glob("*.yaml")), ids=relative)
def test_metrics_find_nothing_between_a_sound_and_itself(path, monkeypatch):
    monkeypatch.chdir(path.parent)  # paths in it are relative to it
    sound = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Metric, "metric", required=True)
    for component in yaml.safe_load(path.read_text()).values():
        metric = parser.instantiate(parser.parse_object({"metric": component})).metric
        metric.update(sound, sound)
        assert metric.compute() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("run", RUNS, ids=relative)
def test_a_system_trains_a_step(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configs = [part for path in run for part in ("-c", str(path))]
    fast = ["--trainer.fast_dev_run=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    assert run_verb("fit", [*configs, *SYSTEMS[run[0].stem](tmp_path), *fast]) == 0


def named_parts(node, folder: Path, at=()):
    """Where a configuration names a part by its file: the place, the class and the arguments given."""
    if isinstance(node, str) and (folder / node).is_file() and node.endswith(".yaml"):
        part = yaml.safe_load((folder / node).read_text())
        if isinstance(part, dict) and "class_path" in part:
            yield at, part["class_path"], set(part.get("init_args") or {})
        yield from named_parts(part, (folder / node).parent, at)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from named_parts(value, folder, (*at, key))


STACKED = [path for run in RUNS for path in run[1:] if "stands alone" not in path.read_text().lower()]


@pytest.mark.parametrize("path", STACKED, ids=relative)
def test_a_file_in_the_place_of_another_leaves_nothing_of_it(path):
    """What is stacked keeps the arguments of a part of the same class that the new file does not give."""
    base = CFG / f"{path.parent.name}.yaml"
    before = {place: part for place, *part in named_parts(yaml.safe_load(base.read_text()), CFG)}
    for place, kind, given in named_parts(yaml.safe_load(path.read_text()), path.parent):
        if place in before and before[place][0] == kind:
            assert not before[place][1] - given, ".".join(place)


@pytest.mark.parametrize("name, precision", [("drums", "medium"), ("drums/small", "highest")])
def test_published_drums_round_products_and_leave_the_process_as_it_was(
    name, precision, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    found = []

    def fit(self, *args, **settings):
        found.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))

    monkeypatch.setattr(L.Trainer, "fit", fit)
    run = ["-c", str(CFG / f"{name}.yaml"), *SYSTEMS["drums"](tmp_path), "--trainer.accelerator=cpu"]
    assert run_verb("fit", run) == run_verb("fit", [*run, "--float32_matmul_precision=high"]) == 0
    assert found == [(precision, precision == "medium"), ("high", True)]
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("name", [None, "small", "supervised", "metadata_f0", "fcnf0"])
def test_published_strings_keep_the_best_by_the_published_rule(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainers = []
    monkeypatch.setattr(L.Trainer, "fit", lambda self, *args, **settings: trainers.append(self))
    variant = ["-c", str(CFG / "strings" / f"{name}.yaml")] if name else []
    run = ["-c", str(CFG / "strings.yaml"), *variant, *SYSTEMS["strings"](tmp_path)]
    assert run_verb("fit", [*run, "--trainer.accelerator=cpu"]) == 0
    kept = {each.filename: each for each in trainers[0].checkpoint_callbacks}
    assert len(kept) == len(trainers[0].checkpoint_callbacks) == 2  # best and last
    published = name in ("supervised", "metadata_f0", "fcnf0")
    assert type(kept["best"]) is (RelativeCheckpoint if published else ModelCheckpoint)
    assert not published or kept["best"].min_rel_delta == 1e-3


def test_the_published_strings_are_normalised_over_the_batch():
    """Q21 of what is known of the original."""
    data = yaml.safe_load((CFG / "strings" / "supervised.yaml").read_text())["data"]
    assert yaml.safe_load((CFG / "strings" / data).read_text())["init_args"]["per_item"] is False


@pytest.mark.parametrize("name", ["guitar_phrases", "guitarset"])
def test_phrases_in_the_place_of_the_published_data_are_as_they_are_alone(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(L.Trainer, "fit", lambda *args, datamodule, **settings: found.append(datamodule))
    phrases = ["--data", str(CFG / "data" / f"{name}.yaml"), "--trainer.accelerator=cpu"]
    for base in ("guitar.yaml", "guitar/published.yaml"):
        assert run_verb("fit", ["-c", str(CFG / base), *phrases]) == 0
    alone, placed = found
    assert placed.settings() == alone.settings() and placed.crops == alone.crops
    assert getattr(placed, "train_on_all", False) is False
    assert (placed.num_samples, placed.batch_size) == (alone.num_samples, alone.batch_size)


@pytest.mark.parametrize("name", SIZES)
def test_a_guitar_has_its_published_size(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = []
    monkeypatch.setattr(L.Trainer, "fit", lambda self, model, *args, **settings: models.append(model))
    run = [PUBLISHED_GUITAR, CFG / "guitar" / "published" / f"{name}.yaml"]
    configs = [part for path in run for part in ("-c", str(path))]
    with torch.device("meta"):  # a large network takes no memory
        assert run_verb("fit", [*configs, *SYSTEMS["guitar"](tmp_path), "--trainer.accelerator=cpu"]) == 0
    assert sum(weights.numel() for weights in models[0].parameters()) == SIZES[name]
    parts = {"harmonic"} if "no_noise" in name else {"harmonic", "noise"}
    assert models[0].voices["guitar"].synth.synths.keys() == parts


@pytest.mark.parametrize("order", [("room", "bright"), ("bright", "room")])
def test_variants_that_say_different_voices_stack_in_any_order(order, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = []
    monkeypatch.setattr(L.Trainer, "fit", lambda self, model, *args, **settings: models.append(model))
    run = [CFG / "guitar.yaml", *(CFG / "guitar" / f"{name}.yaml" for name in order)]
    configs = [part for path in run for part in ("-c", str(path))]
    assert run_verb("fit", [*configs, *SYSTEMS["guitar"](tmp_path), "--trainer.accelerator=cpu"]) == 0
    guitar, room = models[0].voices.items()
    assert (guitar[0], room[0]) == ("guitar", "room") and isinstance(room[1].synth, Room)
    assert guitar[1].controls.base.hears[-1] == "brightness_hz"


def test_a_file_that_names_the_class_says_all_voices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = []
    monkeypatch.setattr(L.Trainer, "fit", lambda self, model, *args, **settings: models.append(model))
    late = {
        "synth": {"class_path": "drumblender.synths.NoiseSynth", "init_args": {"num_bands": 8}},
        "controls": {"class_path": "drumblender.controllers.FreeControls", "init_args": {"num_frames": 4}},
    }
    more, alone = tmp_path / "more.yaml", CFG / "drums" / "06_modal.yaml"
    more.write_text(yaml.safe_dump({"model": {"init_args": {"voices": {"late": late}}}}))
    run = [CFG / "drums.yaml", more, alone, more]
    for count, names in (
        (1, "modal noise transient"),
        (2, "modal noise transient late"),
        (3, "modal"),
        (4, "modal late"),
    ):
        configs = [part for path in run[:count] for part in ("-c", str(path))]
        assert run_verb("fit", [*configs, *SYSTEMS["drums"](tmp_path), "--trainer.accelerator=cpu"]) == 0
        assert sorted(models[-1].voices) == sorted(names.split()), count


def test_the_latest_epochs_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = [CFG / "guitar.yaml", KEEPS]
    configs = [part for path in run for part in ("-c", str(path))]
    quick = ["--trainer.max_epochs=3", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
    quiet = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    assert run_verb("fit", [*configs, *SYSTEMS["guitar"](tmp_path), *quick, *quiet]) == 0
    kept = {path.name for path in tmp_path.rglob("*.ckpt")}
    assert kept == {"best.ckpt", "last.ckpt", "epoch_1.ckpt", "epoch_2.ckpt"}


def test_every_file_in_cfg_is_tested():
    systems = {path for run in RUNS for path in run}
    systems |= {KEEPS, *(CFG / "guitar" / "published" / f"{name}.yaml" for name in SIZES)}
    others = {CFG / "defaults.yaml", CFG / "quickstart.yaml"}
    folders = {path for name in ("metrics", "loggers") for path in (CFG / name).glob("*.yaml")}
    assert set(CFG.rglob("*.yaml")) == {*PARTS, *systems, *others, *folders}
    assert folders


def test_loggers_are_those_of_lightning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (CFG / "loggers").glob("*.yaml"):
        part = yaml.safe_load(path.read_text())
        module, _, name = part["class_path"].rpartition(".")
        settings = inspect.signature(getattr(import_module(module), name)).parameters
        assert part["init_args"].keys() <= settings.keys()


def test_defaults_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    defaults = yaml.safe_load((CFG / "defaults.yaml").read_text())
    assert Path(TaskCLI.DEFAULTS).is_file()
    assert defaults["trainer"]["callbacks"]
