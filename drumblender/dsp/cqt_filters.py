"""Kernels of the constant-Q transform: short ones in time, long ones as bands of the spectrum."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

# Sidelobes of a Hann window that the band of a long kernel keeps on each side. A unit sine beyond the n-th
# leaves less than 1 / (pi n^3) out: 5e-8 here.
_SIDELOBES = 184


@dataclass(frozen=True)
class CQTSettings:
    """What a constant-Q transform measures.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from a frame to the next.
        fmin_hz: Centre of the lowest bin.
        n_bins: Number of bins, up from ``fmin_hz``.
        bins_per_octave: Bins in an octave; sets the quality factor.
        filter_scale: Factor on the length of all windows; below 1 for better time resolution.
        window: A window that ``scipy.signal.get_window`` knows. All but "hann" take the slower road (time
            domain) at every bin.
        norm: Norm by which kernels are divided: 1 (sum of magnitudes), 2 (energy), or None for the window
            divided by its length.
        scale: "amplitude" doubles, so that a unit sine in the centre of a bin reads 1; "sqrt_length"
            multiplies each bin with the root of its window's length, as librosa does; "kernel" does nothing.
        pad_mode: "reflect" or "constant" (zeros) around the signal.
        center: Frame ``t`` is centred on sample ``t * hop_length``. Without it nothing is padded: frame 0 is
            centred half the next power of two above the longest window after the signal's start.

    Raises:
        ValueError: A number is out of range, or the top bin passes Nyquist.
    """

    sample_rate: float
    hop_length: int
    fmin_hz: float
    n_bins: int
    bins_per_octave: int = 12
    filter_scale: float = 1.0
    window: str = "hann"
    norm: Literal[1, 2] | None = 1
    scale: Literal["amplitude", "sqrt_length", "kernel"] = "amplitude"
    pad_mode: Literal["reflect", "constant"] = "reflect"
    center: bool = True

    def __post_init__(self) -> None:
        for name in ("sample_rate", "hop_length", "fmin_hz", "n_bins", "bins_per_octave", "filter_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}.")
        top_hz = self.fmin_hz * 2 ** ((self.n_bins - 1) / self.bins_per_octave)
        if top_hz > self.sample_rate / 2:
            fits = 1 + math.floor(self.bins_per_octave * math.log2(self.sample_rate / 2 / self.fmin_hz))
            raise ValueError(
                f"The top bin is at {top_hz:.1f} Hz, above Nyquist ({self.sample_rate / 2:g} Hz): "
                f"n_bins={self.n_bins} must be at most {max(fits, 0)} from {self.fmin_hz:g} Hz up."
            )
        choices = {"norm": (1, 2, None), "scale": ("amplitude", "sqrt_length", "kernel")}
        for name, allowed in (choices | {"pad_mode": ("reflect", "constant")}).items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}.")

    @property
    def freqs_hz(self) -> np.ndarray:
        """Centre of each bin."""
        return self.fmin_hz * 2.0 ** (np.arange(self.n_bins) / self.bins_per_octave)

    @property
    def lengths(self) -> np.ndarray:
        """Taps of each bin's window."""
        quality = self.filter_scale / (2 ** (1 / self.bins_per_octave) - 1)
        return np.ceil(quality * self.sample_rate / self.freqs_hz).astype(np.int64)

    @property
    def reach(self) -> int:
        """Samples of the longest window on either side of its centre."""
        return int(self.lengths[0] + 1) // 2

    @property
    def first_center(self) -> int:
        """Sample on which frame 0 is centred."""
        return 0 if self.center else 2 ** math.ceil(math.log2(self.lengths[0])) // 2

    @property
    def min_samples(self) -> int:
        """Samples that a signal needs: for one frame, and for the reflection at its ends."""
        if not self.center:
            return 2 * self.first_center
        return 1 + self.reach if self.pad_mode == "reflect" else 1

    def num_frames(self, num_samples: int) -> int:
        """Frames that a signal gives."""
        return (num_samples - 2 * self.first_center) // self.hop_length + 1


def _gain(settings: CQTSettings, length: int, total: float, energy: float) -> float:
    """Factor on a window of that length, sum and sum of squares."""
    divisor = {1: total, 2: math.sqrt(energy), None: length}[settings.norm]
    return {"amplitude": 2.0, "sqrt_length": math.sqrt(length), "kernel": 1.0}[settings.scale] / divisor


def time_kernels(settings: CQTSettings, bins: np.ndarray) -> tuple[np.ndarray, int]:
    """Conjugate kernels ``(taps, bins * 2)`` in time, and the taps before the frame's centre."""
    lengths = settings.lengths[bins]
    before = int(lengths.max() + 1) // 2
    kernels = np.zeros((2 * before, len(bins)), dtype=np.complex128)
    for column, (length, freq_hz) in enumerate(zip(lengths.tolist(), settings.freqs_hz[bins], strict=True)):
        window = _window(settings.window, length)
        tap = np.arange(length) - (length + 1) // 2
        gain = _gain(settings, length, float(np.abs(window).sum()), float(np.square(window).sum()))
        turns = freq_hz / settings.sample_rate * tap
        kernels[tap + before, column] = gain * window * np.exp(-2j * np.pi * turns)
    return kernels.view(np.float64), before


def _window(name: str, length: int) -> np.ndarray:
    if name == "hann" and length > 1:
        return 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
    from scipy.signal import get_window  # slow to import, and rarely needed

    return get_window(name, length, fftbins=True)


def rows_spanned(settings: CQTSettings) -> tuple[np.ndarray, np.ndarray]:
    """First row and number of rows of the spectrum ``(hop, points)`` that hold each bin's band."""
    hop = settings.hop_length
    center = settings.freqs_hz / settings.sample_rate * hop  # in rows
    half_band = _SIDELOBES / settings.lengths * hop
    first = np.floor(center - half_band).astype(np.int64)
    last = np.floor(center + half_band).astype(np.int64)
    return first, np.minimum(last - first + 1, hop)


def band_weights(settings: CQTSettings, number: int, rows: np.ndarray, num_points: int) -> np.ndarray:
    """Conjugate spectrum of one bin's Hann kernel ``(rows, points)``, where the signal's spectrum is sampled.

    With ``a`` half the distance from the bin's frequency (rad) and ``L`` taps, the three Dirichlet kernels of
    a periodic Hann window sum to ``L/2 * sin(L a) cot(a) / L / (1 - sin(a)^2 / sin(pi / L)^2)`` about the
    window's centre, which lies half a sample before the frame's when ``L`` is odd.
    """
    hop = settings.hop_length
    length = int(settings.lengths[number])
    half_rad = np.pi * settings.freqs_hz[number] / settings.sample_rate
    half_step = np.pi / (hop * num_points) * np.arange(num_points)

    def turns(times: int) -> tuple[np.ndarray, np.ndarray]:
        """``exp(i times a)`` as a factor for each row and one for each point: few exponentials."""
        by_row = np.exp(1j * np.pi * (times * rows % (2 * hop) / hop))
        return by_row[:, None], np.exp(1j * times * (half_step - half_rad))

    row, point = turns(length)
    sin_la = row.imag * point.real + row.real * point.imag
    row, point = turns(1)
    unit = row * point
    square = (unit.imag / math.sin(math.pi / length)) ** 2
    rest = 1 - square
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = sin_la * unit.real / (unit.imag * rest)
    # Where the quotient is 0 / 0: the top of the main lobe, and the points where it has fallen to a half.
    weights[square < 1e-10] = length
    half = np.abs(rest) < 2e-5
    weights[half] = length * (0.5 + 0.375 * rest[half])
    weights *= _gain(settings, length, length / 2, length * 3 / 8) / 2 / hop
    return weights * unit.conj() if length % 2 else weights
