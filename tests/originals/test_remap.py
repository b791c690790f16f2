"""Original remapping checkpoints under our names: the same features, parameters and exported rows."""

import copy

import pytest
import torch
from golden_case import golden_file
from golden_parts import check_features

from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import load_checkpoint
from drumblender.config_check import checked_config
from drumblender.inference.export import exportable
from drumblender.originals import remap as import_remap
from drumblender.originals.imported import save_imported
from drumblender.originals.remap import convert, recognises
from drumblender.tasks import RemapTask


def original_config(init):
    """The configuration that the original program saves, from the golden file's description."""
    init = copy.deepcopy(init)

    def component(spec):
        name = spec["class"] if spec["class"].startswith("torch") else spec["class"].rsplit(".", 1)[-1]
        renamed = {"CascadingFrameExtractor": "CascadingFrameExtactor"}.get(name, name)
        inside = {key: value_of(value) for key, value in spec.get("init", {}).items()}
        return {"class_path": f"timbreremap.any.{renamed}", "init_args": inside}

    def value_of(value):
        if isinstance(value, dict) and "class" in value:
            return component(value)
        if isinstance(value, str) and value.startswith("torch.nn"):
            return {"class_path": value}
        return [value_of(item) for item in value] if isinstance(value, list) else value

    parts = {"model": component(init["model"]), "synth": component(init["synth"])}
    if "init" in init["feature"]:
        parts["feature"] = component(init["feature"])
    parts |= {"loss_fn": "Unable to serialize instance L1Loss()", "preset": "their/preset.json"}
    return {
        "model": {"class_path": "timbreremap.tasks.TimbreRemappingTask", "init_args": parts},
        "lr_scheduler": {
            "class_path": "ReduceLROnPlateau",
            "init_args": {"monitor": "val/loss", "verbose": True, "patience": 20},
        },
    }


@pytest.mark.parametrize("name", ["ckpt_linear_mini", "ckpt_mlp_published"])
def test_an_imported_checkpoint_sounds_as_it_did(golden, tmp_path, name):
    numbers = golden("remap", name)
    original = read_checkpoint(golden_file(f"remap/{name}.ckpt"))
    config = original_config(numbers.config["init"])
    assert recognises(config, original) and recognises(None, original)
    imported = convert(config, original)
    assert "lr_scheduler.init_args.verbose" in imported.dropped
    save_imported(imported, tmp_path / "new.ckpt")
    task = load_checkpoint(tmp_path / "new.ckpt").task
    assert isinstance(task, RemapTask) and not task.mapping.onset_scale.known
    onset = numbers["in_x"]
    with torch.no_grad():
        numbers.check("out_param_mod", task.mapping.modulation(onset))
        audio = task({"onset": onset})
        every, key = (16, "out_audio_every16") if "out_audio_every16" in numbers else (1, "out_audio")
        count, samples = numbers[key].shape
        numbers.check(key, audio[:count, ::every][:, :samples])
        check_features(numbers, "out_features", task.features(audio))
        numbers.check("out_reference", task.reference)
        exported = golden("remap", f"{name}_export")
        mapper = exportable(task)
        assert {key: list(value.shape) for key, value in mapper.state_dict().items()} == exported.config[
            "state_keys"
        ]
        rows = torch.stack([mapper(row[None]) for row in exported["in_x"]])
        exported.check("out_y", rows)


def test_without_a_configuration_the_published_one_is_assumed():
    original = read_checkpoint(golden_file("remap/ckpt_mlp_published.ckpt"))
    imported = convert(None, original)
    controls = imported.config["model"]["init_args"]["controls"]["init_args"]
    mapper = controls["mapper"]["init_args"]
    assert (mapper["hidden_size"], mapper["num_layers"], mapper["layer_norm"]) == (32, 1, True)
    assert imported.sample_rate == 44100


def test_a_configuration_runs_without_the_original_package(golden):
    numbers = golden("remap", "ckpt_linear_mini")
    config = original_config(numbers.config["init"])
    ours = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}
    watching = {
        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
        "init_args": {"monitor": "val/loss"},
    }
    theirs = {"class_path": "timbreremap.callback.SaveAudioCallback", "init_args": {"num_samples": 16}}
    config["trainer"] = {"callbacks": [theirs, ours, watching]}
    imported = convert(config, {"state_dict": {}})
    assert theirs["class_path"] in imported.dropped
    checked_config(imported.config, source="old.yaml")  # refuses what is not part of drumblender
    schedule = imported.config["lr_scheduler"]["init_args"]
    assert schedule == {"monitor": "validation/loss", "patience": 20}
    kept = imported.config["trainer"]["callbacks"]
    assert kept == [ours, {**watching, "init_args": {"monitor": "validation/loss"}}]


def test_unknown_parts_are_refused_by_name():
    config = {
        "model": {
            "class_path": "timbreremap.tasks.TimbreRemappingTask",
            "init_args": {
                "model": {"class_path": "somewhere.Odd"},
                "synth": {"class_path": "timbreremap.synth.Snare808"},
            },
        }
    }
    with pytest.raises(ValueError, match=r"somewhere\.Odd"):
        convert(config, {"state_dict": {}})


def test_an_activation_that_was_no_class_path_is_found_by_its_name():
    old = {
        "class_path": "timbreremap.model.MLP",
        "init_args": {"in_size": 3, "activation": "Unable to serialize instance Sigmoid()"},
    }
    new = import_remap._component(old)["init_args"]
    assert new == {"in_size": 3, "activation": {"class_path": "torch.nn.Sigmoid", "init_args": {}}}
