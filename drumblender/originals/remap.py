"""Checkpoints of the original timbre remapping (Shier et al., NIME 2024), saved by Lightning 2."""

from typing import Any

import yaml
from torch import Tensor

from drumblender.controllers.onset_scale import OnsetScale
from drumblender.originals.imported import Imported
from drumblender.originals.lightning1 import migrate_config
from drumblender.shipped import find_shipped

Config = dict[str, Any]

_NAMES = {  # class of the original, by its last name: ours
    "CascadingFrameExtactor": "drumblender.features.CascadingFrameExtractor",
    "LinearMapping": "drumblender.controllers.LinearMapping",
    "MLP": "drumblender.controllers.MLPMapping",
    "Snare808": "drumblender.synths.Snare808",
    "SimpleDrumSynth": "drumblender.synths.SimpleDrumSynth",
    "FMDrumSynth": "drumblender.synths.FMDrumSynth",
}
_FEATURES = (
    "RMS",
    "Loudness",
    "SpectralCentroid",
    "SpectralSpread",
    "SpectralFlatness",
    "SpectralFlux",
    "AmplitudeEnvelope",
    "TemporalCentroid",
    "NormSum",
    "AmpEnvSum",
    "FeatureExtractor",
    "FeatureCollection",
    "CascadingFrameExtractor",
    "OnsetSegment",
)
_NAMES |= {name: f"drumblender.features.{name}" for name in _FEATURES}
_SYNTHS = {14: _NAMES["Snare808"], 9: _NAMES["SimpleDrumSynth"], 13: _NAMES["FMDrumSynth"]}  # by parameters
_HIT_SAMPLES, _HIT_FEATURES = 35328, 7  # what cfg/features/hit.yaml reads, and how much it tells
_INSTANCE = "Unable to serialize instance "
_DATA = {
    "audio_path": "path",
    "feature": "features",
    "onset_feature": "onset_features",
    "return_norm": "weighted",
    "sample_rate": "sample_rate",
    "batch_size": "batch_size",
    "center_onset": "center_onset",
    "val_split": "val_split",
    "test_split": "test_split",
    "data_seed": "data_seed",
}


def recognises(config: Config | None, checkpoint: Config) -> bool:
    """Whether the weights, or the saved configuration, are of this code base."""
    state = checkpoint.get("state_dict") or {}
    by_weights = {"preset", "reference"} <= set(state) and any(key.startswith("model.net.") for key in state)
    return by_weights or _last_name((config or {}).get("model")) in ("TimbreRemappingTask", "TimbreRemapping")


def convert(config: Config | None, checkpoint: Config) -> Imported:
    """Rename classes and weights.

    Without a configuration the published one is assumed, with the mapping and the length of the noise that
    the weights have. The scale of the onset features is in no original file and stays unknown.

    Raises:
        ValueError: A class that was never published; or no configuration, and not the published size.
    """
    state = checkpoint.get("state_dict") or {}
    if not config:
        _check_published(state)
    new, dropped = migrate_config(config) if config else ({}, [])
    old_model = new.get("model", {}).get("init_args", new.get("model", {}))
    synth, synth_rate = _synth(old_model.get("synth"), state)
    mapper = _component(old_model["model"]) if "model" in old_model else _mapper_of(state)
    features = _component(old_model["feature"]) if "feature" in old_model else "cfg/features/hit.yaml"
    controls = {"class_path": "drumblender.controllers.MappedControls", "init_args": {"mapper": mapper}}
    init_args = {"controls": controls, "synth": synth, "features": features, "sample_rate": synth_rate}
    if length := (old_model.get("synth") or {}).get("init_args", {}).get("num_samples"):
        init_args["num_samples"] = length
    new["model"] = {"class_path": "drumblender.tasks.RemapTask", "init_args": init_args}
    new["data"] = _data(new.get("data"))
    new = _watched(new)
    dropped += _drop_own_callbacks(new.get("trainer") or {})
    dropped += _drop_unknown(mapper, "normalize_input", "model.model.init_args.normalize_input")
    training = {key: checkpoint[key] for key in ("epoch", "global_step") if key in checkpoint}
    return Imported(_resolved(new), _weights(state), synth_rate, dropped, training)


def _check_published(state: dict[str, Tensor]) -> None:
    """Weights alone tell no features and no length: they are those that were published, or stay unknown."""
    noise, reference = state.get("synth.noise.noise"), state.get("reference")
    other = []
    if noise is not None and noise.shape[-1] < _HIT_SAMPLES:
        other.append(f"{noise.shape[-1]} samples of noise, where a published hit has {_HIT_SAMPLES}")
    if reference is not None and reference.shape[-1] != _HIT_FEATURES:
        other.append(f"{reference.shape[-1]} features, where {_HIT_FEATURES} were published")
    if other:
        raise ValueError(
            f"This remapping has {' and '.join(other)}: it is not of the published size, so give its "
            "configuration (.yaml) before the checkpoint."
        )


def _synth(old: Config | None, state: dict[str, Tensor]) -> tuple[Config, int]:
    settings = (old or {}).get("init_args", {})
    noise = state.get("synth.noise.noise")
    if noise is not None:
        length = noise.shape[-1]
    else:
        length = settings.get("buffer_size", 0) if settings.get("buffer_noise") else 0
    rate = settings.get("sample_rate", 44100)
    size = state["preset"].shape[-1] if "preset" in state else 14
    name = _ours(old["class_path"]) if old else _SYNTHS.get(size, _NAMES["Snare808"])
    return {"class_path": name, "init_args": {"sample_rate": rate, "noise_samples": length}}, rate


def _mapper_of(state: dict[str, Tensor]) -> Config:
    """The published mapping whose weights these are."""
    shapes = {key: tuple(value.shape) for key, value in state.items() if key.startswith("model.net.")}
    if "model.net.weight" in shapes:
        out_size, in_size = shapes["model.net.weight"]
        settings = {
            "in_size": in_size,
            "out_size": out_size,
            "clamp": True,
            "bias": "model.net.bias" in shapes,
        }
        return {"class_path": _NAMES["LinearMapping"], "init_args": settings}
    layers = sorted(
        (int(key.split(".")[2]), shape) for key, shape in shapes.items() if key.endswith(".weight")
    )
    settings = {
        "in_size": layers[0][1][1],
        "hidden_size": layers[0][1][0],
        "out_size": layers[-1][1][0],
        "num_layers": len(layers) - 1,
        "activation": {"class_path": "torch.nn.ReLU"},
        "layer_norm": layers[1][0] - layers[0][0] == 3,
        "scale_output": True,
    }
    return {"class_path": _NAMES["MLP"], "init_args": settings}


def _data(old: Config | None) -> Config:
    settings = (old or {}).get("init_args", old or {})
    new = {ours: settings[theirs] for theirs, ours in _DATA.items() if theirs in settings}
    for name, published in (("features", "hit"), ("onset_features", "hit_onset")):
        new[name] = _component(new[name]) if name in new else f"cfg/features/{published}.yaml"
    published = {"path": "hits", "batch_size": 16, "center_onset": True, "val_split": 0.1, "test_split": 0.1}
    if old is None:
        new = published | new
    as_published = {"path": "hits", "channel": "mean", "dc": "keep"}
    return {"class_path": "drumblender.data.RemapDataModule", "init_args": as_published | new}


def _watched(value: Any) -> Any:
    """The same, where what a schedule or a callback watches has the name that it has in our logs."""
    if isinstance(value, list):
        return [_watched(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _watched(item) for key, item in value.items()}
    if str(renamed.get("monitor")).startswith("val/"):
        renamed["monitor"] = renamed["monitor"].replace("val/", "validation/", 1)
    return renamed


def _drop_own_callbacks(trainer: Config) -> list[str]:
    """Take those of the original package out; what they wrote is had by `remap` and `export`."""
    callbacks = trainer.get("callbacks") or []
    own = [each["class_path"] for each in callbacks if str(each["class_path"]).startswith("timbreremap.")]
    if own:
        trainer["callbacks"] = [each for each in callbacks if each["class_path"] not in own]
    return own


def _component(old: Any) -> Any:
    """A component, and those inside, under our names."""
    if isinstance(old, list):
        return [_component(item) for item in old]
    if isinstance(old, str) and old.startswith(_INSTANCE):  # a default, which had no class path
        return {"class_path": f"torch.nn.{old.removeprefix(_INSTANCE).partition('(')[0]}", "init_args": {}}
    if not isinstance(old, dict) or "class_path" not in old:
        return old
    init_args = {key: _component(value) for key, value in (old.get("init_args") or {}).items()}
    return {"class_path": _ours(old["class_path"]), "init_args": init_args}


def _ours(class_path: str) -> str:
    name = class_path.rsplit(".", 1)[-1]
    if class_path.startswith("torch."):
        return class_path
    if not _NAMES.get(name):
        raise ValueError(f"{class_path} is no part of the published timbre remapping and is not imported.")
    return _NAMES[name]


def _weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    new = {}
    for key, value in state.items():
        name = key.replace("model.net.", "mapper.net.", 1) if key.startswith("model.") else key
        new[{"synth.noise.noise": "synth.noise"}.get(name, name)] = value
    if not new:
        return new
    size = next(
        value.shape[1] for key, value in new.items() if key.startswith("mapper.net.") and value.ndim == 2
    )
    if "damping" not in new:  # the original had none without a preset
        new["damping"] = new["preset"].new_ones(new["preset"].shape)
    new |= {f"onset_scale.{key}": value for key, value in OnsetScale(size).state_dict().items()}
    return {_place(key): value for key, value in new.items()}


def _place(key: str) -> str:
    """Where a weight is in a task of one voice."""
    if key == "reference":
        return key
    return f"voices.drum.{key}" if key.startswith("synth.") else f"voices.drum.controls.{key}"


def _drop_unknown(component: Config, key: str, dotted: str) -> list[str]:
    return [dotted] if component["init_args"].pop(key, None) is not None else []


def _resolved(config: Config) -> Config:
    """The configuration with shipped files in place of their names: it has to hold from any folder."""

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, str) and value.startswith("cfg/features/"):
            return yaml.safe_load(find_shipped(value).read_text())
        return value

    return resolve(config)


def _last_name(component: Any) -> str:
    return str(component.get("class_path", "")).rsplit(".", 1)[-1] if isinstance(component, dict) else ""
