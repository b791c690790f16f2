"""Checkpoints of the original Neural Guitar: bare weights, perhaps beside a `config.json`."""

from typing import Any

import torch
from torch import Tensor

from drumblender.originals.imported import Imported
from drumblender.tasks.guitar import QUANTILES

Config = dict[str, Any]

_SPLITS = {
    166: (101, 65),
    230: (101, 129),
    280: (151, 129),
}  # outputs: harmonics, noise bands
_GRU, _LAYER = "gru.weight_hh_l0", "mlp.weight"
_RATE, _HOP = 16000, 160
_LOSS = {"fft_sizes": [512, 1024, 2048], "hop_sizes": [120, 240, 480], "win_lengths": [240, 600, 1200]}
_FOUR = {"fft_sizes": [512, 1024, 2048, 4096], "hop_sizes": [120, 240, 480, 960]}
_FOUR["win_lengths"] = [240, 600, 1200, 2400]


def recognises(config: Config | None, checkpoint: Config) -> bool:
    """Whether the checkpoint is of this code base."""
    state = checkpoint.get("model_state_dict", checkpoint)
    return isinstance(state, dict) and _GRU in state and _LAYER in state


def convert(config: Config | None, checkpoint: Config) -> Imported:
    """Read the sizes of the network from its weights, and give the weights their new names.

    The published models are played with noise where no configuration says otherwise.

    Args:
        config: The model's entry in ``config.json``, or the file with that one entry; None for the published
            sizes.
        checkpoint: Content of the file: a training state, or the bare weights.

    Raises:
        ValueError: Sizes that were never published, without a configuration; or one that is of another model.
    """
    old = checkpoint.get("model_state_dict", checkpoint)
    said = _entry(config)
    hidden, layers = old[_GRU].shape[1], sum(key.startswith("gru.weight_hh_l") for key in old)
    outputs = len(old[_LAYER])
    if not said and outputs not in _SPLITS:
        raise ValueError(
            f"{outputs} outputs are of no published size ({', '.join(map(str, _SPLITS))}): give the model's "
            "entry of config.json, as YAML, before the checkpoint."
        )
    harmonics, bands = _SPLITS.get(outputs, (0, 0))
    harmonics, bands = said.get("n_harmonics", harmonics), said.get("n_noise_bands", bands)
    sizes = (said.get("hidden_size", hidden), said.get("num_layers", layers), harmonics + bands)
    if sizes != (hidden, layers, outputs):
        raise ValueError(
            f"The configuration has hidden, layers and outputs {sizes}, the checkpoint "
            f"{(hidden, layers, outputs)}: it is of another model."
        )
    dropout = said.get("dropout", 0.1 if layers > 1 else 0.0)
    noise, rate = said.get("use_noise", True), said.get("sample_rate", _RATE)
    model = _model(harmonics, bands, noise, rate, said)
    encoder = {"hidden_size": hidden, "num_layers": layers, "dropout": dropout}
    model["init_args"]["voices"]["guitar"]["controls"]["init_args"]["encoder"] = _component(
        "drumblender.encoders.ControlGRU", **encoder
    )
    training = {"epoch": checkpoint["epoch"]} if "epoch" in checkpoint else {}
    weights = _weights(old) | dict.fromkeys(("range_f0_hz", "range_loudness_db"), torch.zeros(QUANTILES))
    return Imported({"model": model, "data": _data(rate)}, weights, rate, training=training)


def _entry(config: Config | None) -> Config:
    """The one entry of a configuration file that names several."""
    if not config or "hidden_size" in config:
        return config or {}
    if len(config) != 1:
        raise ValueError(f"Which model is it? Leave one of {', '.join(config)} in the configuration.")
    return next(iter(config.values()))


def _model(harmonics: int, bands: int, noise: bool, rate: int, said: Config) -> Config:
    synths = {
        "harmonic": _component("drumblender.synths.HarmonicSynth", num_harmonics=harmonics, sample_rate=rate),
    }
    if noise:
        synths["noise"] = _component(
            "drumblender.synths.FilteredNoiseSynth", num_bands=bands, hop_length=_HOP, pad_last=False
        )
    controls = _component(
        "drumblender.controllers.HarmonicControls",
        sample_rate=rate,
        amplitude="sum",
        nyquist="mask",
        noise="sigmoid",
        noise_bias=0.0,
        noise_follows_loudness=False,
        spare_outputs=0 if noise else bands,
    )
    loss = _LOSS if bands == 65 else _FOUR
    loss = {name: said.get(name, value) for name, value in loss.items()}
    loss |= {"w_log_mag": said.get("mag_loss_weight", 1.0), "eps": said.get("eps", 1e-7)}
    return _component(
        "drumblender.tasks.GuitarTask",
        voices={
            "guitar": {
                "synth": _component("drumblender.synths.MixSynth", synths=synths),
                "controls": controls,
            }
        },
        loss=_component("drumblender.losses.MultiResolutionSTFTLoss", floor="magnitude", **loss),
        sample_rate=rate,
    )


def _data(rate: int) -> Config:
    """As cfg/data/guitarset_published.yaml: CREPE as the original heard with it, whose pitch is never held, a
    band-pass that goes by the name of A-weighting, and its crops."""
    loudness = {"window": "rectangle", "frame_size": 1024, "weighting": "bandpass", "epsilon": 1e-7}
    curves = _component(
        "drumblender.features.NoteCurves",
        sample_rate=rate,
        hop_length=_HOP,
        tracker="crepe-published",
        hold_below=0.0,
        loudness=_component(
            "drumblender.features.FrameLoudness", sample_rate=rate, hop_length=_HOP, **loudness
        ),
    )
    crops = {"per_phrase": 1, "end_frame": False, "skip_silence": False}
    return _component(
        "drumblender.data.GuitarSetDataModule",
        data_dir="dataset/guitarset_published",
        curves=curves,
        subset="all",
        train_on_all=True,
        num_harmonics=0,
        crops=crops,
    )


def _weights(old: dict[str, Tensor]) -> dict[str, Tensor]:
    player = "voices.guitar.controls"
    return {
        f"{player}.encoder.{key}"
        if key.startswith("gru.")
        else f"{player}.{key.replace('mlp.', 'layer.')}": value
        for key, value in old.items()
    }


def _component(class_path: str, **init_args: Any) -> Config:
    return {"class_path": class_path, "init_args": init_args}
