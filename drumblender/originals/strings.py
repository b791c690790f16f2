"""Checkpoints of the original string autoencoder (DiffKS, WASPAA 2025): weights without a configuration."""

from typing import Any

import torch
from torch import Tensor

from drumblender.originals.imported import Imported

Config = dict[str, Any]

# The sizes of the MFCC's FFT tell its frames; 1024 points may also mean 125 frames.
_Z_TIME_STEPS = {2048: 63, 1024: 250, 512: 500, 256: 1000}
_HEADS = {"loop_coeff_proj": "loop_taps", "loop_gain_proj": "loop_gain"}
_UNUSED = ("cache_gru", "decoder.", "z_encoder.mfcc_transform.")
_SAMPLE_RATE, _INTERNAL_RATE, _MIN_F0_HZ, _EXCITATION_S = 16000, 41000, 72.41, 0.025


def recognises(config: Config | None, checkpoint: Config) -> bool:
    """Whether the checkpoint is of this code base; it saves no configuration."""
    state = checkpoint.get("model_state_dict", checkpoint)
    return isinstance(state, dict) and "loop_coeff_proj.weight" in state and "decoder.loop_gain" in state


def convert(config: Config | None, checkpoint: Config, **overrides: Any) -> Imported:
    """Read the sizes of the network from its weights, and give the weights their new names.

    Args:
        config: None; the original saves none.
        checkpoint: Content of the file: a training state, or the bare weights.
        overrides: What the file does not say: ``z_time_steps``, ``sample_rate``, ``internal_rate``,
            ``min_f0_hz``, ``excitation_s``, ``batch_top_db`` (True: as published).

    Raises:
        ValueError: The two input networks, which are one in the original, differ; or the sizes do not fit.
    """
    old = checkpoint.get("model_state_dict", checkpoint)
    for key, value in old.items():
        if key.startswith("in_mlps.1.") and not torch.equal(
            value, old[key.replace("in_mlps.1.", "in_mlps.0.")]
        ):
            raise ValueError(f"{key} differs from that of in_mlps.0; the original has one network for both.")
    sizes = _sizes(old)
    rate = overrides.get("sample_rate", _SAMPLE_RATE)
    model = _model(sizes, rate, overrides)
    data = _component(
        "drumblender.data.NSynthDataModule",
        sample_rate=rate,
        statistics="split",
        names={"val": "test"},
        channel="mean",
        dc="keep",
        drop_last=True,
    )
    new = _weights(old, sizes)
    dropped = sorted(key for key in old if key.startswith(_UNUSED))
    training = {"epoch": checkpoint["epoch"]} if "epoch" in checkpoint else {}
    return Imported({"model": model, "data": data}, new, rate, dropped, training)


def _model(sizes: dict[str, int], rate: int, overrides: dict[str, Any]) -> Config:
    """The task with all its parts."""
    synth = {
        "sample_rate": rate,
        "internal_rate": overrides.get("internal_rate", _INTERNAL_RATE),
        "min_f0_hz": overrides.get("min_f0_hz", _MIN_F0_HZ),
        "excitation_s": overrides.get("excitation_s", _EXCITATION_S),
        "loop_order": sizes["taps"] - 1,
        "loop_frames": sizes["loop_frames"],
        "excitation_order": sizes["order"],
        "excitation_frames": sizes["excitation_frames"],
    }
    timbre = {
        "rnn_channels": sizes["rnn_channels"],
        "z_dims": sizes["z_dims"],
        "z_time_steps": overrides.get("z_time_steps", sizes["z_time_steps"]),
        "batch_top_db": overrides.get("batch_top_db", True),
    }
    encoder = {
        "hidden_size": sizes["hidden"],
        "shared_inputs": True,
        "z_encoder": _component("drumblender.encoders.MFCCEncoder", **timbre),
    }
    loss = {"scale_invariance": True, "perceptual_weighting": True, "sample_rate": rate}
    return _component(
        "drumblender.tasks.StringTask",
        controls=_component(
            "drumblender.controllers.HeardControls",
            encoder=_component("drumblender.encoders.NoteEncoder", **encoder),
        ),
        synth=_component("drumblender.synths.StringSynth", **synth),
        loss=_component("drumblender.losses.MultiResolutionSTFTLoss", **loss),
        sample_rate=rate,
    )


def _sizes(old: dict[str, Tensor]) -> dict[str, int]:
    loop_frames, hidden = old["loop_gain_proj.weight"].shape
    _, excitation_frames, columns = old["decoder.exc_coefficients"].shape
    z_dims, rnn_channels = old["z_encoder.dense_out.weight"].shape
    taps, left = divmod(len(old["loop_coeff_proj.weight"]), loop_frames)
    if left or len(old["exc_coeff_proj.weight"]) != excitation_frames * columns:
        raise ValueError("The sizes of the three projections of this checkpoint contradict each other.")
    fft_size = len(old["z_encoder.mfcc_transform.MelSpectrogram.spectrogram.window"])
    return {
        "hidden": hidden,
        "loop_frames": loop_frames,
        "taps": taps,
        "excitation_frames": excitation_frames,
        "order": columns - 1,
        "rnn_channels": rnn_channels,
        "z_dims": z_dims,
        "z_time_steps": _Z_TIME_STEPS[fft_size],
    }


def _weights(old: dict[str, Tensor], sizes: dict[str, int]) -> dict[str, Tensor]:
    encoder, head = (f"voices.string.controls.{part}" for part in ("encoder", "head.layers"))
    new = {f"{encoder}.loudness_mean_db": torch.tensor(0.0), f"{encoder}.loudness_std_db": torch.tensor(1.0)}
    for key, value in old.items():
        module, _, rest = key.partition(".")
        if key.startswith(_UNUSED):
            continue
        if module in _HEADS:
            new[f"{head}.{_HEADS[module]}.{rest}"] = value
        elif module == "exc_coeff_proj":
            # Each frame has the gain, then the taps; ours are two controls.
            rows = value.unflatten(0, (sizes["excitation_frames"], sizes["order"] + 1))
            new[f"{head}.excitation_gain.{rest}"] = rows[:, :1].flatten(0, 1).clone()
            new[f"{head}.excitation_taps.{rest}"] = rows[:, 1:].flatten(0, 1).clone()
        elif module == "in_mlps":
            number, _, layer = rest.partition(".")
            new[f"{encoder}.{('pitch_net', 'loudness_net')[int(number)]}.{layer}"] = value
        else:
            new[f"{encoder}.{key}"] = value
    return new


def _component(class_path: str, **init_args: Any) -> Config:
    return {"class_path": class_path, "init_args": init_args}
