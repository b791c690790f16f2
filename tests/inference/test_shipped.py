"""Every checkpoint that ships sounds as it did: a later change cannot break one silently."""

import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from exported import FORMS, run_exported
from references import reference

import drumblender as db
from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import Loaded
from drumblender.cli import run
from drumblender.controllers.parameter_mapper import ParameterMapper
from drumblender.encoders import Encoder
from drumblender.inference.export import export
from drumblender.inference.model import Model
from drumblender.inference.probe import probe, probed
from drumblender.shipped import read_index, shipped_dir
from drumblender.tasks import RemapVoices
from drumblender.weights_check import load_weights

EVERY = read_index()
ROWS = {name: row for name, row in EVERY.items() if not row.family}
FAMILY = {name: row for name, row in EVERY.items() if row.family}
REMAPS = [name for name, row in ROWS.items() if row.system == "remap"]
_PAIR = "remap_14x5maple_snare_1"
REMAPS += [name for name in (f"{_PAIR}_linear", f"{_PAIR}_mlp") if name in EVERY]
_ALL = 20e6  # bytes that the package may carry

named = pytest.mark.parametrize("name", ROWS)


@pytest.fixture(scope="module")
def load():
    """Opens each once."""
    models = {}

    def opened(name):
        if name not in models:
            models[name] = db.load(name)
        return models[name]

    return opened


@named
def test_sounds_as_it_did_when_it_was_shipped(load, name):
    model, known = load(name), ROWS[name].check
    found, _ = probed(model)
    assert found["samples"] == known["samples"]
    assert found["level_db"] == pytest.approx(known["level_db"], abs=0.2)
    assert found["distance"] == pytest.approx(known["distance"], rel=0.02)


@pytest.mark.parametrize("kind", sorted({name.rpartition("_")[2] for name in FAMILY}))
def test_a_family_sounds_as_it_did(load, kind):
    """Its members differ in numbers only, and building takes a second: one task plays all of them."""
    rows = {name: row for name, row in FAMILY.items() if name.endswith(f"_{kind}")}
    first = load(next(iter(rows)))
    drawn = {name: value.clone() for name, value in first.task.named_buffers()}
    model = Model(Loaded(first.task, first._loaded.data, first.sample_rate))
    for name, row in rows.items():
        row.check_digest(row.path)
        content = read_checkpoint(row.path)
        record = content["drumblender"]
        left_out = {each: drawn[each] for each in record["redrawn"]["names"]}
        load_weights(model.task, left_out | content["state_dict"], source=name)
        assert _but_for_places(record["config"]) == _but_for_places(first.task.config)
        found, _ = probed(model)
        assert found["samples"] == row.check["samples"]
        assert found["level_db"] == pytest.approx(row.check["level_db"], abs=0.2), name
        assert found["distance"] == pytest.approx(row.check["distance"], rel=0.02), name


def _but_for_places(config):
    """A configuration without the preset and the hits, which tell the members of a family apart."""
    texts = [text for text in _texts(config) if not text.startswith(("dataset/", "cfg/presets/"))]
    return texts, config["seed_everything"]


@pytest.mark.parametrize("name", EVERY)
def test_beats_all_its_baselines_in_the_first_measure(name):
    row = EVERY[name]
    measure = next(iter(row.metrics))
    assert row.baselines and all(row.metrics[measure] < known[measure] for known in row.baselines.values())


@named
def test_holds_weights_and_nothing_of_the_training_or_its_machine(name):
    content = read_checkpoint(ROWS[name].path)
    assert not {"optimizer_states", "callbacks", "loops", "lr_schedulers"} & content.keys()
    assert "/" not in {str(value)[:1] for value in _texts(content["drumblender"]["config"])}


def _texts(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@named
def test_has_a_card_that_tells_what_it_must_and_three_sounds(name):
    folder, row = shipped_dir("checkpoints"), ROWS[name]
    card = row.card.read_text()
    needed = ("## Data", "## Training", "seed", "## What it is bad at", "needs no training", row.licence)
    assert all(word in card for word in needed)
    assert not any(word in card.lower() for word in ("todo", "public domain"))
    sounds = sorted((folder / "sounds").glob(f"{name}_*.flac"))
    assert len(sounds) == 3 and all(sound.name in card for sound in sounds)
    for sound in sounds:
        audio, rate = soundfile.read(sound)
        assert len(audio) > rate / 4 and 0.01 < np.abs(audio).max() <= 1


def test_a_family_has_a_card_and_a_sound_for_each_of_its_kind():
    folder = shipped_dir("checkpoints")
    for family in {row.family for row in FAMILY.values()}:
        card = (folder / f"{family}.md").read_text()
        assert all(word in card for word in ("## Data", "seed", "## What it is bad at", "static preset"))
        assert "public domain" not in card.lower()
        for name in (name for name, row in FAMILY.items() if row.family == family):
            _, snare, *_, kind = name.split("_")
            assert snare in card and f"(sounds/{family}_{snare}_{kind}.flac)" in card
            sound, _ = soundfile.read(folder / "sounds" / f"{family}_{snare}_{kind}.flac")
            assert len(sound) and 0.01 < np.abs(sound).max() <= 1


@named
def test_the_verb_of_its_system_plays_it_from_any_folder(load, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = load(name)
    db.write(Path("in.wav"), probe(model.task, model.sample_rate), model.sample_rate)
    words = model.task.verb_takes.format(checkpoint=f"checkpoints/{name}").split()
    sung = ["--sound"] if model.task.verb == "pitch" else []
    assert run([model.task.verb, *words, *sung]) == 0
    sound, rate = soundfile.read("out.wav")
    assert rate == model.sample_rate and np.isfinite(sound).all() and np.abs(sound).max() > 0.01


@pytest.mark.usefixtures("unchecked")  # to a tracer a size is a tensor
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.system != "remap"])
def test_its_networks_are_the_same_traced_exported_and_as_onnx(load, name):
    reference("onnxruntime")
    model, heard = load(name), {}
    hooks = [
        part.register_forward_pre_hook(lambda part, given: heard.update({part: given}))
        for part in model.task.modules()
        if isinstance(part, Encoder)
    ]
    model(probe(model.task, model.sample_rate), model.sample_rate)
    for hook in hooks:
        hook.remove()
    assert heard
    for encoder, sound in heard.items():
        given = tuple(value[:, :32] for value in sound)
        example = tuple(value.roll(1, dims=1) for value in given)
        with torch.no_grad():
            expected = encoder(*given)
        for form in FORMS:
            assert torch.allclose(run_exported(form, encoder, example, given), expected, atol=1e-5), form


@pytest.mark.parametrize("name", REMAPS)
def test_a_mapper_is_the_same_traced_and_as_onnx(load, name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    task = load(name).task
    assert isinstance(task, RemapVoices)
    mapper: ParameterMapper = task.mapping.parameter_mapper(bool(task.mapping.onset_scale.known))
    onset = torch.tensor([[0.2, 0.5, 0.8]])[:, : task.mapping.mapper.in_size]
    with torch.no_grad():
        expected = mapper(onset)
    for suffix in (".pt", ".onnx"):
        export(EVERY[name].path, tmp_path / f"m{suffix}", plugin=False)
    traced = torch.jit.load(tmp_path / "m.pt")(onset)
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    (graph,) = session.run(None, {"onset": onset.numpy()})
    assert torch.allclose(traced, expected, atol=1e-6)
    assert np.allclose(graph, expected.numpy(), atol=1e-5)


def test_what_ships_stays_small_and_is_in_the_index():
    folder = shipped_dir("checkpoints")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < _ALL
    assert {path.name for path in files if path.suffix == ".ckpt"} == {
        row.file for row in EVERY.values() if row.url is None
    }
    cards = {path.stem for path in Path(folder).glob("*.md")} - {"README"}  # which shows all sounds
    assert cards == {row.family or name for name, row in EVERY.items()}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if " -c " in row.trained["command"]])
def test_the_configurations_that_its_card_names_still_say_what_it_was_trained_as(name):
    words = shlex.split(ROWS[name].trained["command"].replace("\\\n", " "))
    files = [shipped_dir("cfg").parent / file for flag, file in pairwise(words) if flag == "-c"]
    kept = read_checkpoint(ROWS[name].path)["drumblender"]["config"]["model"]
    stated = {}
    for file in files:
        new = dict(_stated(yaml.safe_load(file.read_text()).get("model", {})))
        classes = [place[:-1] for place in new if place[-1] == "class_path"]  # another one has other settings
        left = {place for place in stated if not any(place[: len(part)] == part for part in classes)}
        stated = {place: stated[place] for place in left} | new
    assert len(stated) >= 3
    options = {word.rsplit(".", 1)[-1] for word in words if word.startswith("--model.")}
    stated = {place: value for place, value in stated.items() if place[-1] not in options}
    assert not {place: value for place, value in stated.items() if _at(kept, place) != value}


def _stated(value, place=()):
    """Every value of a configuration and where it stands, but for the names of other files."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _stated(item, (*place, key))
    elif not str(value).endswith((".yaml", ".json")):
        yield place, value


def _at(config, place):
    """What a whole configuration has there; a part may be written in it with its class."""
    for key in place:
        config = config if key in config else config["init_args"]
        config = config[key]
    return config
