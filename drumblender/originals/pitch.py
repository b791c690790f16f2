"""Checkpoints of the original harmonic estimation (Torres et al. 2024), which hold pickled modules.

They are read by torch's own restricted reader. Names of the original's modules, and of the torch layers in
them, stand for an inert class that keeps what it is given: nothing of the file is imported or called.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from drumblender.features.maps import cqt_bins
from drumblender.originals.imported import Imported
from drumblender.originals.lightning1 import migrate_config

Config = dict[str, Any]

_INERT = re.compile(r"(encoder|synths|losses|features|torch\.nn\.modules\.\w+)\.\w+|functools\.partial")
_UNREADABLE = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError)
_DEEPEST = 20
_CONTROLS = "voices.tone.controls"
_PITCH_WEIGHTS = "encoder.linear.frequency."
_DROPPED = ("encoder.abs_shift", "feature_extractor.")
_CQT = ("bins_per_semitone", "fmin", "n_bins", "hop_length", "pad_mode", "log")
_METRICS = {"log_spectral_distance": "DecibelDistance", "mse": "WaveformMSE"}  # "mss" is a loss


class Inert:
    """Stands for a class of the original: keeps the state it is given and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def holds_modules(path: str | Path) -> bool:
    """Whether a file is a checkpoint with the original's pitch network in it, and nothing else that acts."""
    try:
        names = get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
    except (*_UNREADABLE, pickle.UnpicklingError):
        return False
    return "encoder.PESTOEncoder" in names and all(map(_INERT.fullmatch, names))


def read(path: str | Path) -> Config:
    """The content of such a file, each module as ``class_path`` and ``init_args`` of plain values.

    Raises:
        ValueError: It names something else, or is damaged.
    """
    if not holds_modules(path):
        raise ValueError(f"{path} is no checkpoint of the original pitch network.")
    stand_ins = {
        name: type(name.rpartition(".")[2], (Inert,), {"__module__": name.rpartition(".")[0]})
        for name in get_unsafe_globals_in_checkpoint(path)
    }
    try:
        with safe_globals([(kind, name) for name, kind in stand_ins.items()]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (*_UNREADABLE, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is damaged: {str(error)[:100]}.") from error
    return {**content, "hyper_parameters": _plain(content.get("hyper_parameters", {}))}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError("The checkpoint's settings are nested too deep.")
    if isinstance(value, Inert):
        kept = {key: item for key, item in vars(value).items() if not key.startswith("_")}
        name = f"{type(value).__module__}.{type(value).__name__}"
        return {"class_path": name, "init_args": _plain(kept, depth + 1)}
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return (
        value if value is None or isinstance(value, str | int | float | bool) else str(type(value).__name__)
    )


def recognises(config: Config | None, checkpoint: Config) -> bool:
    """Whether a configuration or a checkpoint, as :func:`read` gives it, is of this code base."""
    parts = (checkpoint.get("hyper_parameters"), (config or {}).get("model"))
    encoders = [part.get("encoder") for part in parts if isinstance(part, dict)]
    if any(isinstance(e, dict) and e.get("class_path") == "encoder.PESTOEncoder" for e in encoders):
        return True
    state = checkpoint.get("state_dict")
    return isinstance(state, dict) and any(str(key).startswith(_PITCH_WEIGHTS) for key in state)


def convert(config: Config | None, checkpoint: Config) -> Imported:
    """Bring the settings and the weights under our names.

    Args:
        config: The configuration saved with it, which also tells how it was trained and on what. All that
            matters of the model the checkpoint has, too.
        checkpoint: As :func:`read` gives it; without weights only a configuration is converted.

    Raises:
        ValueError: The network predicts something else than one fundamental and its amplitudes, or neither
            file has its settings.
    """
    old = checkpoint.get("hyper_parameters") or {}
    if "encoder" not in old and not config:
        raise ValueError(
            "This checkpoint of the original pitch network has lost its settings (hyper_parameters): give "
            "its configuration (.yaml) before the checkpoint."
        )
    old = old if "encoder" in old else config["model"]
    net, synth = old["encoder"]["init_args"], old["decoder"]["init_args"]
    if not net["harmonic"] or sorted(net["output_splits"]) != ["frequency", "weights"]:
        raise ValueError(
            "Only harmonic networks with frequency and weights are known, as published; this one "
            f"has harmonic={net['harmonic']} and {', '.join(net['output_splits'])}."
        )
    if net["estimation_type"] != "soft-argmax":
        raise ValueError(f"Only soft-argmax is known, not {net['estimation_type']}.")
    linked = (config or {}).get("sample_rate")  # to all parts of a configuration
    rate = old.get("sample_rate") or synth.get("sample_rate") or linked
    if not rate:
        raise ValueError("Neither file tells the sample rate of this pitch network.")
    cqt = {key: old["feature_extractor"][key] for key in _CQT} | {"sample_rate": rate}
    range_hz = _range_hz(old, cqt)
    state = checkpoint.get("state_dict", {})
    model = _part(
        "drumblender.tasks.PitchTask",
        controls=_part(
            "drumblender.controllers.HeardControls",
            encoder=_encoder(net, cqt),
            head=_head(net, old, range_hz),
        ),
        synth=_synth(net, synth, rate),
        loss=_loss(old["loss_fn"], old.get("transform"), rate, range_hz),
        metrics=_metrics(old.get("evaluation_metrics") or {}),
        sample_rate=rate,
    )
    new, dropped = _run(config or {})
    sizes = {"sample_rate": rate, "num_samples": synth["n_samples"]}
    new |= {"model": model, "data": _data(config or {}, sizes)}
    if isinstance(old.get("optimizer_init"), dict):
        new["optimizer"] = old["optimizer_init"]
    training = {key: checkpoint[key] for key in ("epoch", "global_step") if key in checkpoint}
    dropped += sorted(key for key in state if key.startswith(_DROPPED))
    return Imported(new, _weights(state), rate, dropped, training)


def _run(config: Config) -> tuple[Config, list[str]]:
    """The seed and the trainer of a saved configuration, and the keys of them that have no successor."""
    kept = {key: config[key] for key in ("seed_everything", "trainer") if key in config}
    new, dropped = migrate_config(kept)
    trainer = new.get("trainer") or {}
    if trainer.get("accelerator") == "gpu":
        trainer["accelerator"] = "auto"
    for callback in trainer.get("callbacks") or []:
        settings = callback.get("init_args") or {}
        if str(settings.get("monitor")).startswith("val_metrics/"):
            settings["monitor"] = settings["monitor"].replace("val_metrics/", "validation/", 1)
    return new, dropped


def _data(config: Config, sizes: Config) -> Config:
    """The set that a configuration names, in its batches; the published one where it names none."""
    given = (config.get("data") or {}).get("init_args") or {}
    named = {"data_path": given.get("data_path")}
    named["batch_size"] = given.get("batch_size") or config.get("batch_size")
    kept = {key: value for key, value in named.items() if value}
    return _part("drumblender.data.HarmonicTonesDataModule", **sizes, **kept)


def _metrics(wanted: Config) -> Config:
    """Those of sound; those of pitch every task has."""
    metrics = {
        name: _part(f"drumblender.metrics.{ours}") for name, ours in _METRICS.items() if wanted.get(name)
    }
    if wanted.get("mss"):
        loss = _part("drumblender.losses.MultiScaleSpectralLoss", logmag_weight=1.0, frames="padded")
        metrics["mss"] = _part("drumblender.metrics.LossMetric", loss=loss)
    for p in (1, 2):
        if wanted.get(f"{p}-wasserstein"):
            metrics[f"{p}-wasserstein"] = _part("drumblender.metrics.SpectralWasserstein", p=p)
    return metrics


def _range_hz(old: Config, cqt: Config) -> tuple[float, float]:
    """The limits of the pitch; those of the transform where the file says ``auto``."""
    per_semitone, lowest = cqt["bins_per_semitone"], cqt["fmin"]
    bins = cqt_bins(cqt["sample_rate"], lowest, per_semitone) if cqt["n_bins"] == "auto" else cqt["n_bins"]
    highest = lowest * 2 ** ((bins - 1) / (12 * per_semitone))
    low, high = old["freq_hz_min"], old["freq_hz_max"]
    return lowest if low == "auto" else low, highest if high == "auto" else high


def _encoder(net: Config, cqt: Config) -> Config:
    channels = list(net["n_chan_layers"])
    return _part(
        "drumblender.encoders.PitchCNN",
        cqt=_part("drumblender.features.CQT", **cqt),
        channels=channels + [1] * (5 - len(channels)),
        kernel_size=net["kernel_size"],
        num_prefilters=net["n_prefilt_layers"],
        residual=net["residual"],
        activation=net["activation_fn"],
        slope=net["a_lrelu"],
        num_output_layers=net["num_output_layers"],
    )


def _head(net: Config, old: Config, range_hz: tuple[float, float]) -> Config:
    return _part(
        "drumblender.controllers.PitchHead",
        range_hz={"low": range_hz[0], "high": range_hz[1], "log": True},
        temperature=old["temperature"],
        num_bins=net.get("out_size") or net["output_size"],
    )


def _synth(net: Config, synth: Config, rate: int) -> Config:
    if synth["amp_resample_method"] != "window" or synth["amp_scale_fn"] or synth["freq_scale_fn"]:
        raise ValueError("Only a synth with window up-sampling and plain controls is known.")
    return _part(
        "drumblender.synths.HarmonicSynth",
        num_harmonics=net["n_modes"],
        sample_rate=rate,
        f0_upsampling="center",
        amp_upsampling="windows",
        fade=True,
        roll_off_db=6.0 if synth["apply_roll_off"] else 0.0,
    )


def _loss(
    old: Config, transform: Config | None, rate: int, range_hz: tuple[float, float], top: bool = True
) -> Config:
    name, given = old["class_path"].rpartition(".")[2], old["init_args"]
    if name == "MixOfLosses":
        names = {"Wasserstein1D": "transport", "MSSLoss": "spectrum", "KL": "divergence"}
        named = [names.get(part["class_path"].rpartition(".")[2], "other") for part in given["losses"]]
        if len(set(named)) < len(named):
            raise ValueError(f"Each kind of loss may come once in a mix, got {', '.join(named)}.")
        parts = [_loss(part, transform, rate, range_hz, top=False) for part in given["losses"]]
        weights = dict(zip(named, given["weights"], strict=True))
        return _part(
            "drumblender.losses.WeightedLoss", losses=dict(zip(named, parts, strict=True)), weights=weights
        )
    if name == "MSSLoss":
        kept = {key: given[key] for key in ("fft_sizes", "loss_type", "mag_weight", "logmag_weight")}
        return _part("drumblender.losses.MultiScaleSpectralLoss", frames="padded", **kept)
    if not transform or transform.get("type") != "stft":
        raise ValueError(f"The loss {name} needs an STFT, got {transform}.")
    window = {"window": transform.get("window") or "hann", "frames": "padded"}
    sizes = {"n_fft": transform["n_fft"], "hop_length": transform["hop_length"], "sample_rate": rate}
    maps = _part("drumblender.features.STFT", **sizes, **window)
    if name == "KL":
        kept = {key: given[key] for key in ("eps", "reverse") if key in given}
        return _part("drumblender.losses.KLDivergenceLoss", maps=maps, **kept)
    if name != "Wasserstein1D":
        raise ValueError(f"No loss {name} is known.")
    return _part(
        "drumblender.losses.SpectralTransportLoss",
        maps=maps,
        p=given["p"],
        squared=given["square_dist"],
        balanced=not given["dont_normalize"],
        cutoff="drop" if given["limit_quantile_range"] else None,
        # The original looks for the flag at the top only, so that a mix trains on linear distances.
        scale="log" if given["log_scaled_x"] and top else "linear",
        log_range_hz=list(range_hz),
    )


def _weights(old: dict[str, Tensor]) -> dict[str, Tensor]:
    heads = {
        "encoder.linear.frequency.": "head.layers.f0_hz.",
        "encoder.linear.weights.0.": "head.layers.amp.",
    }
    new = {}
    for key, value in old.items():
        if key.startswith(_DROPPED):
            continue
        for start, ours in (heads | {"encoder.": "encoder.net."}).items():
            if key.startswith(start):
                new[f"{_CONTROLS}.{ours}{key.removeprefix(start)}"] = value
                break
        else:
            new[key] = value
    return new


def _part(class_path: str, **init_args: Any) -> Config:
    return {"class_path": class_path, "init_args": init_args}
