"""Pictures of a melody: its waveform, and its pitch, periodicity and loudness over a spectrogram."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.spectra import power, stft
from drumblender.types import Audio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _PITCH, _LEVEL = "#38404c", "#e4572e", "#2a9d8f"
_N_FFT, _HOP, _POINTS = 1024, 160, 2000
_LOWEST_HZ, _QUIETEST_DB = 50.0, -80.0


def draw_melodies(
    melodies: Mapping[str, tuple[Audio, Mapping[str, Float[Tensor, "frames"]]]],
    sample_rate: int,
    hop_length: int,
    longest_s: float = 60.0,
) -> "Figure":
    """Draw melodies side by side, each with its curves.

    Args:
        melodies: By title the sound ``(1, samples)`` and its curves ``f0_hz``, ``periodicity`` and
            ``loudness_db``.
        sample_rate: Of the sounds.
        hop_length: Samples from frame to frame of the curves.
        longest_s: Seconds that are drawn at most.

    Examples:
        >>> curves = {"f0_hz": torch.full((51,), 220.0), "loudness_db": torch.full((51,), -20.0)}
        >>> curves["periodicity"] = torch.linspace(0, 1, 51)
        >>> figure = draw_melodies({"tone": (torch.zeros(1, 8000), curves)}, 16000, hop_length=160)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['', 'Hz', 'dB', 'periodicity']
    """
    from matplotlib.figure import Figure  # slow to import

    width = 10 if len(melodies) == 1 else 6 * len(melodies)
    figure = Figure(figsize=(width, 6), layout="constrained", facecolor="white")
    panels = figure.subplots(3, len(melodies), squeeze=False, sharex="col", height_ratios=(1, 3, 1.4))
    for column, (title, (audio, curves)) in zip(panels.T, melodies.items(), strict=True):
        sound = audio[:, : int(longest_s * sample_rate)]
        frames = sound.shape[-1] // hop_length + 1
        shown = {name: curve[:frames].numpy(force=True) for name, curve in curves.items() if curve.ndim == 1}
        time_s = np.arange(len(shown["f0_hz"])) * hop_length / sample_rate
        _waveform(column[0], sound[0], sample_rate)
        column[0].set_title(title, fontsize=10, loc="left")
        _spectrogram(column[1], sound, sample_rate)
        _pitch(column[1], time_s, shown)
        _level(column[2], time_s, shown)
    return figure


def _waveform(axes: "Axes", sound: Tensor, sample_rate: int) -> None:
    """The least and the largest sample of each part."""
    size = max(1, -(-len(sound) // _POINTS))
    parts = torch.nn.functional.pad(sound, (0, -len(sound) % size)).view(-1, size)
    time_s = np.arange(len(parts)) * size / sample_rate
    axes.fill_between(time_s, parts.amin(dim=1), parts.amax(dim=1), color=_INK, linewidth=0.4)
    axes.set(xlim=(0, max(len(sound), 1) / sample_rate))
    axes.tick_params(labelsize=7, length=2)


def _spectrogram(axes: "Axes", sound: Audio, sample_rate: int) -> None:
    hop = max(_HOP, sound.shape[-1] // _POINTS)
    levels_db = 10 * torch.log10(power(stft(sound, _N_FFT, hop, pad_mode="constant"))[0] + 1e-9)
    loudest = float(levels_db.max())
    axes.pcolormesh(
        np.arange(len(levels_db)) * hop / sample_rate,
        np.linspace(0, sample_rate / 2, _N_FFT // 2 + 1)[1:],
        levels_db[:, 1:].T.numpy(force=True),
        vmin=loudest - 80,
        vmax=loudest,
        cmap="Greys",
        shading="nearest",
        rasterized=True,
    )
    axes.set(yscale="log", ylim=(_LOWEST_HZ, sample_rate / 2), ylabel="Hz")
    axes.tick_params(labelsize=7, length=2)


def _pitch(axes: "Axes", time_s: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    """Each frame's pitch, as opaque as it is sure and audible."""
    heard = curves["loudness_db"] > -60
    sure = (curves["periodicity"].clip(0, 1) * heard).astype(float)
    axes.scatter(time_s, curves["f0_hz"], 5, color=_PITCH, alpha=sure, linewidths=0)


def _level(axes: "Axes", time_s: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    axes.plot(time_s, curves["loudness_db"], color=_LEVEL, linewidth=1)
    axes.set(ylim=(_QUIETEST_DB, 0), xlabel="s")
    axes.set_ylabel("dB", color=_LEVEL)
    axes.tick_params(labelsize=7, length=2)
    right = axes.twinx()
    right.plot(time_s, curves["periodicity"], color=_PITCH, linewidth=0.7, alpha=0.7)
    right.set(ylim=(0, 1.02))
    right.set_ylabel("periodicity", color=_PITCH)
    right.tick_params(labelsize=7, length=2)
