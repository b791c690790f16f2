"""A picture of sounds: waveform and spectrogram, target above prediction."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import pad

from drumblender.callbacks.sounds import Pair
from drumblender.dsp.spectra import power, stft

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TARGET_COLOUR, PREDICTION_COLOUR = "#33415c", "#c8553d"
RANGE_DB = 80.0
LOWEST_HZ = 40.0
_ROWS = 240  # of a spectrogram, at even steps of a log axis; low ones are wider, a bin each


def draw_pairs(pairs: list[Pair], sample_rate: int, names: list[str] | None = None) -> "Figure":
    """Draw each pair as a column: waveform and spectrogram of the target, below them those of the prediction.

    Both spectrograms of a pair share one scale, which ends 80 dB below the loudest point of the target.

    Args:
        pairs: Up to about four sounds; more make small columns.
        sample_rate: Samples per second.
        names: Titles of the columns.

    Raises:
        ValueError: No pair.

    Examples:
        >>> figure = draw_pairs([Pair(torch.randn(4800), torch.randn(4800))], 48000, names=["snare"])
        >>> len(figure.axes)  # waveform and spectrogram of both
        4
    """
    if not pairs:
        raise ValueError("A picture needs at least one pair of sounds.")
    figure, axes = _grid(max(4.2, 3.4 * len(pairs)), 6.2, len(pairs), (1, 2.2, 1, 2.2))
    for column, pair in enumerate(pairs):
        reach = max(float(sound.abs().max()) for sound in pair) or 1.0
        top_db = float(_levels_db(pair.target, sample_rate)[2].max())
        for row, (sound, colour) in enumerate(zip(pair, (TARGET_COLOUR, PREDICTION_COLOUR), strict=True)):
            _draw_wave(axes[2 * row, column], sound, sample_rate, reach, colour)
            _draw_spectrogram(axes[2 * row + 1, column], sound, sample_rate, top_db)
        axes[3, column].set_xlabel("seconds", fontsize=8)
        if names:
            axes[0, column].set_title(names[column], fontsize=9, color="#333333")
    for row, name in ((0, "target"), (2, "prediction")):
        axes[row, 0].set_ylabel(name, fontsize=10, fontweight="bold", color="#333333")
        axes[row + 1, 0].set_ylabel("Hz", fontsize=8)
    return figure


def draw_sounds(sounds: list[tuple[torch.Tensor, int]], names: list[str]) -> "Figure":
    """Draw each sound, ``(samples,)`` with its rate, as a column: waveform above spectrogram.

    Args:
        sounds: Each with its own scale.
        names: Titles of the columns.

    Raises:
        ValueError: No sound, or not as many names.

    Examples:
        >>> len(draw_sounds([(torch.randn(4800), 48000), (torch.randn(1600), 16000)], ["a", "b"]).axes)
        4
    """
    if not sounds or len(sounds) != len(names):
        raise ValueError(f"A picture needs sounds and a name for each, got {len(sounds)} and {len(names)}.")
    figure, axes = _grid(max(4.2, 2.6 * len(sounds)), 3.2, len(sounds), (1, 2.2))
    for column, ((sound, rate), name) in enumerate(zip(sounds, names, strict=True)):
        _draw_wave(axes[0, column], sound, rate, float(sound.abs().max()) or 1.0, PREDICTION_COLOUR)
        _draw_spectrogram(axes[1, column], sound, rate, float(_levels_db(sound, rate)[2].max()))
        axes[0, column].set_title(name, fontsize=9, color="#333333")
        axes[1, column].set_xlabel("seconds", fontsize=8)
    axes[1, 0].set_ylabel("Hz", fontsize=8)
    return figure


def _grid(
    width: float, height: float, columns: int, height_ratios: tuple[float, ...]
) -> "tuple[Figure, NDArray]":
    """Axes in rows and columns, with room for their labels, which matplotlib would measure for a second."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    left, right, top, bottom, gap = 0.62, 0.16, 0.26, 0.42, 0.36  # inches
    axes = figure.subplots(
        len(height_ratios),
        columns,
        squeeze=False,
        sharex="col",
        height_ratios=height_ratios,
        gridspec_kw={
            "left": left / width,
            "right": 1 - right / width,
            "top": 1 - top / height,
            "bottom": bottom / height,
            "wspace": gap * columns / (width - left - right - gap * (columns - 1)),
            "hspace": 0.08,
        },
    )
    return figure, axes


def _draw_wave(axes: "Axes", sound: torch.Tensor, sample_rate: int, reach: float, colour: str) -> None:
    length = math.ceil(len(sound) / 600)  # the outline that a screen can show
    blocks = pad(sound, (0, -len(sound) % length)).view(-1, length)
    seconds = torch.arange(len(blocks)) * blocks.shape[1] / sample_rate
    low, high = blocks.amin(dim=1).numpy(), blocks.amax(dim=1).numpy()
    axes.fill_between(seconds.numpy(), low, high, color=colour, linewidth=0.6)
    axes.set_ylim(-1.05 * reach, 1.05 * reach)
    axes.set_yticks([])
    axes.tick_params(labelbottom=False, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def pixels(figure: "Figure", dpi: int = 160) -> np.ndarray:
    """A figure as it is drawn, ``(height, width, 3)`` bytes: drawn once for all that show it.

    Examples:
        >>> pixels(draw_pairs([Pair(torch.randn(4800), torch.randn(4800))], 48000), dpi=50).shape
        (310, 210, 3)
    """
    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]


def _draw_spectrogram(axes: "Axes", sound: torch.Tensor, sample_rate: int, top_db: float) -> None:
    edge_s, edge_hz, level_db = _levels_db(sound, sample_rate)
    axes.pcolormesh(
        edge_s.numpy(),
        edge_hz.numpy(),
        level_db.T.numpy(),
        vmin=top_db - RANGE_DB,
        vmax=top_db,
        cmap="magma",
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylim(LOWEST_HZ, sample_rate / 2)
    marks = [mark for mark in (100, 1000, 10000) if mark < sample_rate / 2]
    axes.set_yticks(marks, [f"{mark / 1000:g}k" if mark >= 1000 else str(mark) for mark in marks])
    axes.minorticks_off()
    axes.tick_params(labelsize=7, length=2, color="#888888")


def _levels_db(sound: torch.Tensor, sample_rate: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edges of frames and of rows, in seconds and Hz, and decibels ``(frames, rows)``.

    A row is the loudest of the bins that one line of a picture shows. 0 Hz has no place on a log axis.
    """
    n_fft = 2048
    hop_length = max(64, len(sound) // 400)
    spectrum = power(stft(sound[None], n_fft, hop_length, pad_mode="constant"))[0, :, 1:]
    edge_bins = torch.logspace(0, math.log2(n_fft // 2 + 1), _ROWS + 1, base=2).round().long().unique()
    rows = [part.amax(dim=1) for part in spectrum.split(edge_bins.diff().tolist(), dim=1)]
    levels_db = 10 * torch.log10(torch.stack(rows, dim=1) + 1e-10)
    edge_s = (torch.arange(len(levels_db) + 1) - 0.5) * hop_length / sample_rate
    return edge_s, (edge_bins - 0.5) * sample_rate / n_fft, levels_db
