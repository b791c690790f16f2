"""Checkpoints of the original percussion resynthesis (Shier et al. 2023), saved by Lightning 1.9."""

from typing import Any

from torch import Tensor

from drumblender.data.upgrade import upgrade_data
from drumblender.originals.imported import Imported
from drumblender.originals.lightning1 import migrate_config

Config = dict[str, Any]

_TASK = "drumblender.tasks.DrumBlender"
_WEIGHTS = {
    "modal_autoencoder.": "voices.modal.controls.gains.",
    "noise_autoencoder.": "voices.noise.controls.encoder.",
    "transient_autoencoder.": "voices.transient.controls.encoder.",
    "transient_synth.": "voices.transient.synth.",
}
_ANALYSIS = (
    "hop_length",
    "fmin",
    "n_bins",
    "bins_per_octave",
    "min_length",
    "num_modes",
    "threshold",
    "diff_threshold",
)
_UNSUPPORTED_STFT = {  # settings of auraloss that ours has not, with their defaults
    "window": "hann_window",
    "w_phs": 0.0,
    "scale": None,
    "n_bins": None,
    "reduction": "mean",
    "output": "loss",
    "mag_distance": "L1",
    "device": None,
}
_SETTINGS = (
    "batch_size",
    "num_workers",
    "url",
    "bucket",
    "archive",
    "meta_file",
    "data_dir",
    "sample_rate",
    "num_samples",
    "save_modal_audio",
)
_SPLITTING = {
    "seed": "seed",
    "split_strategy": "split_strategy",
    "sample_types": "types",
    "instruments": "instruments",
    "normalize": "normalize",
}


def recognises(config: Config | None, checkpoint: Config) -> bool:
    """Whether the saved configuration, or the names of the weights, are of this code base."""
    if config:
        return isinstance(config.get("model"), dict) and config["model"].get("class_path") == _TASK
    state = checkpoint.get("state_dict")
    return isinstance(state, dict) and any(str(key).startswith(tuple(_WEIGHTS)) for key in state)


def convert(config: Config | None, checkpoint: Config) -> Imported:
    """Turn flags into voices, and the names of weights into theirs.

    Raises:
        ValueError: The model has parts that no published configuration uses, or there is no configuration.
    """
    if not config:
        raise ValueError(
            "This is a checkpoint of the original drums, whose weights do not tell what the model is: give "
            "its configuration (.yaml) before the checkpoint."
        )
    new, dropped = migrate_config(config)
    old_model, old_data = new["model"]["init_args"], new["data"]["init_args"]
    new["data"] = _data(old_data)
    new["model"] = _model(
        old_model, num_modes=old_data.get("num_modes", 1), sample_rate=old_data["sample_rate"]
    )
    new["trainer"] = _without_old_callbacks(new.get("trainer", {}), dropped)
    training = {key: checkpoint[key] for key in ("epoch", "global_step") if key in checkpoint}
    return Imported(new, _weights(checkpoint["state_dict"]), old_data["sample_rate"], dropped, training)


def _model(old: Config, *, num_modes: int, sample_rate: int) -> Config:
    if old.get("encoder"):
        raise ValueError("A model with one encoder for all voices was never published and is not imported.")
    modal = _component("drumblender.synths.ModalSynth", num_modes=num_modes, alias=True)  # as it sounded
    voices = {"modal": {"synth": modal}}
    if old.get("modal_autoencoder"):
        gains = old["modal_autoencoder"]["init_args"]
        voices["modal"]["controls"] = _component(
            "drumblender.controllers.GivenControls", gains={"num_modes": gains["num_modes"]}
        )
    noise = _noise_voice(old) if old.get("noise_synth") else None
    transient = _transient_voice(old) if old.get("transient_synth") else None
    order = {"noise": noise, "transient": transient}
    if not old.get("transient_takes_noise"):
        order = {"transient": transient, "noise": noise}
    voices |= {name: voice for name, voice in order.items() if voice}
    settings = {"voices": voices, "loss": _loss(old["loss_fn"]), "sample_rate": sample_rate}
    if old.get("test_metrics"):
        settings["metrics"] = _metrics(old["test_metrics"])
    return _component("drumblender.tasks.DrumTask", **settings)


def _noise_voice(old: Config) -> Config:
    if not str((old.get("noise_autoencoder") or {}).get("class_path")).endswith(".SoundStreamEncoder"):
        raise ValueError(
            "A noise synth without a SoundStream encoder was never published, and is not imported."
        )
    encoder = _soundstream(old["noise_autoencoder"], "drumblender.encoders.SoundStreamEncoder")
    bands = encoder["init_args"]["output_channels"]
    window = old["noise_synth"]["init_args"]["window_size"]
    synth = _component(
        "drumblender.synths.NoiseSynth", win_length=window, num_bands=bands, filter="published"
    )
    return {"synth": synth, "controls": _heard(encoder)}


def _transient_voice(old: Config) -> Config:
    synth = _component("drumblender.synths.TransientTCN", **old["transient_synth"]["init_args"])
    combine = "add" if old.get("transient_parallel") else "replace"
    voice = {"synth": synth, "combine": combine}
    if old.get("transient_autoencoder"):
        encoder = _soundstream(
            old["transient_autoencoder"], "drumblender.encoders.SoundStreamAttentionEncoder"
        )
        voice["controls"] = _heard(encoder)
    return voice


def _heard(encoder: Config) -> Config:
    head = _component("drumblender.controllers.SplitHead")
    return _component("drumblender.controllers.HeardControls", encoder=encoder, head=head)


def _soundstream(old: Config, class_path: str) -> Config:
    settings = dict(old["init_args"])
    settings.pop("transpose_output", None)  # ours always gives (batch, frames, features)
    return _component(class_path, **settings)


def _loss(old: Config) -> Config:
    """Ours for a loss of the original.

    Raises:
        ValueError: A class, or a setting away from its default, that ours does not have.
    """
    name, settings = old["class_path"].rsplit(".", 1)[-1], dict(old.get("init_args") or {})
    if name == "WeightedLoss":
        losses = {f"loss_{i}": _loss(each) for i, each in enumerate(settings["loss_fns"])}
        weights = settings.get("weights") or [1.0] * len(losses)
        named = dict(zip(losses, weights, strict=True))
        return _component("drumblender.losses.WeightedLoss", losses=losses, weights=named)
    if name in ("FirstOrderDifferenceLoss", "L1Loss", "MSELoss"):
        home = "torch.nn" if old["class_path"].startswith("torch.") else "drumblender.losses"
        return _component(f"{home}.{name}", **settings)
    if name != "MultiResolutionSTFTLoss":
        raise ValueError(f"{old['class_path']} has no counterpart here and is not imported.")
    for key, default in _UNSUPPORTED_STFT.items():
        if settings.pop(key, default) != default:
            raise ValueError(f"{name} with {key} other than {default!r} is not imported.")
    return _component("drumblender.losses.MultiResolutionSTFTLoss", **settings)


def _metrics(old: Config) -> Config:
    """Test metrics: a ``ModuleDict`` of the original, by name."""
    modules = old.get("init_args", old).get("modules", old)
    return {name: _metric(metric) for name, metric in modules.items()}


def _metric(old: Config) -> Config:
    name = old["class_path"].rsplit(".", 1)[-1]
    if name == "MultiResolutionSTFTLoss":
        return _component("drumblender.metrics.LossMetric", loss=_loss(old))
    if name not in ("LogSpectralDistance", "MFCCError", "SpectralFluxOnsetError"):
        raise ValueError(f"{old['class_path']} has no counterpart here and is not imported.")
    return _component(f"drumblender.metrics.{name}", **(old.get("init_args") or {}))


def _data(old: Config) -> Config:
    settings = {key: old[key] for key in _SETTINGS if key in old}
    if "data_dir_unprocessed" in old:
        settings["raw_dir"] = old["data_dir_unprocessed"]
    settings |= {"channel": "first", "dc": "keep"}
    split = old.get("dataset_kwargs") or {}
    settings |= {new: split[key] for key, new in _SPLITTING.items() if split.get(key) is not None}
    analysis = {key: old[key] for key in _ANALYSIS if key in old}
    settings["analysis"] = _component(
        "drumblender.features.CQTModalAnalysis", sample_rate=old["sample_rate"], **analysis
    )
    return upgrade_data(_component("drumblender.data.ModalDataModule", **settings))


def _without_old_callbacks(trainer: Config, dropped: list[str]) -> Config:
    """Lightning's own callbacks stay; those of the original package have their successors in our defaults."""
    callbacks = trainer.get("callbacks") or []
    kept = [callback for callback in callbacks if not callback["class_path"].startswith("drumblender.")]
    dropped += [callback["class_path"] for callback in callbacks if callback not in kept]
    return {**trainer, "callbacks": kept}


def _weights(old: dict[str, Tensor]) -> dict[str, Tensor]:
    new = {}
    for key, value in old.items():
        prefix = next((prefix for prefix in _WEIGHTS if key.startswith(prefix)), "")
        new[_WEIGHTS.get(prefix, "") + key.removeprefix(prefix)] = value
    return new


def _component(class_path: str, **init_args: Any) -> Config:
    return {"class_path": class_path, "init_args": init_args}
