"""What a page shows of a sound: its outline as numbers, its spectrogram as a picture, and curves as SVG."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.spectra import power, stft
from drumblender.evaluation.runs import Curve

WIDTH, HEIGHT = 360, 140
LOWEST_HZ, RANGE_DB = 40.0, 80.0
_N_FFT = 2048


def outline(audio: Float[Tensor, "samples"], points: int = 240) -> list[float]:
    """The largest sample of each part of a sound, with its sign, to two decimals; as a player draws it."""
    parts = torch.tensor_split(audio, min(points, max(len(audio), 1)))
    largest = [part[part.abs().argmax()].item() if len(part) else 0.0 for part in parts]
    return [round(value, 2) for value in largest]


def levels_db(audio: Float[Tensor, "samples"], sample_rate: int) -> Float[Tensor, "height width"]:
    """The levels of a spectrogram: ``HEIGHT`` rows, evenly from Nyquist down to 40 Hz in octaves, by at most
    ``WIDTH`` columns."""
    hop = max(1, math.ceil(len(audio) / WIDTH))
    spectrum = power(stft(audio[None], _N_FFT, hop, pad_mode="constant"))[0, :WIDTH]
    edges = (
        torch.logspace(math.log10(sample_rate / 2), math.log10(LOWEST_HZ), HEIGHT + 1) * _N_FFT / sample_rate
    )
    rows = [_band(spectrum, *edge) for edge in edges.unfold(0, 2, 1).tolist()]
    return 10 * torch.log10(torch.stack(rows) + 1e-10)


def _band(spectrum: Float[Tensor, "frames bins"], high: float, low: float) -> Float[Tensor, "frames"]:
    """The loudest bin between two places; between bins, where none is, the line from one to the other."""
    first, last = max(1, math.ceil(low)), math.floor(high)
    if first <= last:
        return spectrum[:, first : last + 1].amax(dim=1)
    below = max(1, math.floor(low))
    return torch.lerp(spectrum[:, below], spectrum[:, below + 1], max(0.0, (low + high) / 2 - below))


def draw_spectrogram(path: Path, levels: Float[Tensor, "height width"], top_db: float) -> None:
    """Write levels from ``top_db`` to 80 dB below as a PNG."""
    from matplotlib import colormaps  # slow to import
    from PIL import Image

    shade = ((levels - top_db) / RANGE_DB + 1).clamp(0, 1).numpy()
    colours = (colormaps["magma"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    image = Image.fromarray((shade * 255).astype(np.uint8), mode="P")
    image.putpalette(colours.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def draw_curves(
    curves: Mapping[str, Curve], width: float = 460, height: float = 150
) -> tuple[list[tuple[str, str]], str]:
    """Losses over steps on one pair of axes, of which that of the losses is logarithmic.

    Returns:
        The name of each curve and its points for an SVG polyline; and what the axes reach from and to.
    """
    thinned = {name: [p for p in curve if p[1] > 0 and math.isfinite(p[1])] for name, curve in curves.items()}
    thinned = {name: curve[:: max(1, len(curve) // 400)] for name, curve in thinned.items() if len(curve) > 1}
    if not thinned:
        return [], ""
    xs, ys = (np.concatenate([[p[axis] for p in curve] for curve in thinned.values()]) for axis in (0, 1))
    wide, high = max(xs.max() - xs.min(), 1e-9), max(math.log(ys.max() / ys.min()), 1e-9)

    def place(x: float, y: float) -> str:
        return f"{(x - xs.min()) / wide * width:.1f},{height - math.log(y / ys.min()) / high * height:.1f}"

    reach = f"steps {xs.min():.0f} to {xs.max():.0f}, losses {ys.min():.3g} to {ys.max():.3g} (logarithmic)"
    return [(name, " ".join(place(*point) for point in curve)) for name, curve in thinned.items()], reach
