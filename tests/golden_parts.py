"""Builds the parts of remapping from the nested descriptions that golden files carry."""

import json
from pathlib import Path

import torch
from torch import nn

from drumblender import controllers, features
from drumblender.dsp.onsets import OnsetSettings
from drumblender.synths import Snare808
from drumblender.tasks import RemapTask
from drumblender.upgrade import upgrade


def build_feature(spec: dict) -> nn.Module:
    init = dict(spec.get("init", {}))
    for key in ("features", "extractors"):
        if key in init:
            init[key] = [build_feature(part) for part in init[key]]
    return getattr(features, spec["class"].rsplit(".", 1)[-1])(**init)


def published_features(sample_rate: int = 44100) -> nn.Module:
    """The seven features of a whole hit, as published."""
    frames = features.CascadingFrameExtractor(
        [
            features.Loudness(sample_rate),
            features.SpectralCentroid(sample_rate, "flat_top", compress=True, floor=1e-4, scaling="kazazis"),
            features.SpectralFlatness(),
        ],
        num_frames=[2, 64],
        frame_size=2048,
        hop_length=512,
    )
    hit = features.CascadingFrameExtractor(
        [features.TemporalCentroid(sample_rate, scaling="schlauch")], [1], frame_size=5512, hop_length=5512
    )
    return features.FeatureCollection([frames, hit])


def build_mapper(spec: dict) -> nn.Module:
    init = dict(spec["init"])
    if "activation" in init:
        init["activation"] = getattr(nn, init["activation"].rsplit(".", 1)[-1])()
    return (controllers.LinearMapping if spec["class"].endswith("LinearMapping") else controllers.MLPMapping)(
        **init
    )


def build_remap_task(init: dict, preset_path: Path) -> RemapTask:
    """A task as the configuration of a golden file describes it; its preset is written to ``preset_path``."""
    preset_path.write_text(json.dumps(init["preset_json"]))
    synth = init["synth"]["init"]
    feature = init["feature"]
    return RemapTask(
        controllers.MappedControls(build_mapper(init["model"]), str(preset_path)),
        Snare808(synth["sample_rate"], synth["buffer_size"]),
        build_feature(feature) if "init" in feature else published_features(),
        sample_rate=synth["sample_rate"],
        num_samples=synth["num_samples"],
    )


def original_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of the original task under our names, with the scale of the onsets unknown."""
    renamed = {
        key.replace("model.net", "mapper.net").replace("synth.noise.noise", "synth.noise"): value
        for key, value in state.items()
    }
    size = next(value.shape[1] for key, value in renamed.items() if key.startswith("mapper.net"))
    scale = controllers.OnsetScale(size).state_dict()
    renamed |= {f"onset_scale.{key}": value for key, value in scale.items()}
    return upgrade({"model": {"class_path": "drumblender.tasks.RemapTask"}}, renamed)[1]


def plugin_settings(case) -> OnsetSettings:
    """What the plug-in's golden file says of its detector."""
    return OnsetSettings(
        on_db=case.config["on_threshold"],
        off_db=case.config["off_threshold"],
        wait_samples=case.config["wait_samples"],
        eps=case.parameters["epsilon"],
        rearm_early=case.parameters["rearm_early"],
    )


def check_features(case, name: str, features: torch.Tensor) -> None:
    """The seven published features, of which the flatness (columns 4 and 5) is the least exact."""
    flat = torch.zeros(features.shape[-1], dtype=torch.bool)
    flat[4:6] = True
    case.check(name, features[:, ~flat], at=(slice(None), ~flat))
    case.check(name, features[:, flat], at=(slice(None), flat), within="flatness")
