"""Sinusoidal peaks of a spectrum, and the tracks that they form over time (offline, not differentiable).

A sinusoidal model in the manner of McAulay and Quatieri (1986), followed backwards in time: a struck thing
ends in few pure modes, and the noise of the stroke is met last.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

_ROUNDING_RAD = 1e-5  # above the error of a float32 transform, below what a window of odd length turns


@dataclass(frozen=True)
class Peaks:
    """Peaks of all frames, by frame and then by bin.

    Examples:
        >>> peaks = Peaks(torch.tensor([0]), *torch.tensor([[24.3], [0.5], [0.0]]))
        >>> peaks.location
        tensor([24.3000])
    """

    frame: Int[Tensor, "peaks"]
    location: Float[Tensor, "peaks"]  # in bins, between bins too
    magnitude: Float[Tensor, "peaks"]
    phase: Float[Tensor, "peaks"]  # rad


@dataclass(frozen=True)
class ModeTracks:
    """Tracks in order of discovery, which is from the last frame to the first.

    A track covers columns 0 to ``length - 1`` and never ends before column 0: where it has no peak, its
    amplitude is 0 and it holds the frequency and phase of the peak after.

    Examples:
        >>> tracks = ModeTracks(*torch.rand(3, 2, 10), length=torch.tensor([10, 4]))
        >>> tracks.amp.shape
        torch.Size([2, 10])
    """

    location: Float[Tensor, "tracks columns"]  # in bins
    amp: Float[Tensor, "tracks columns"]
    phase: Float[Tensor, "tracks columns"]  # rad
    length: Int[Tensor, "tracks"]  # columns


def find_peaks(level_db: Float[Tensor, "*frames bins"], threshold_db: float) -> Bool[Tensor, "*frames bins"]:
    """Mark the bins above the threshold and above both their neighbours.

    The first and last bin and both bins of a plateau are never marked, nor is a bin at exactly 0 dB: the
    published features were made so.

    Examples:
        >>> find_peaks(torch.tensor([-90.0, -20.0, -50.0, -40.0, -90.0]), threshold_db=-30.0)
        tensor([False,  True, False, False, False])
    """
    peaks = torch.zeros_like(level_db, dtype=torch.bool)
    center = level_db[..., 1:-1]
    peaks[..., 1:-1] = (
        (center > level_db[..., :-2]) & (center > level_db[..., 2:]) & (center > threshold_db) & (center != 0)
    )
    return peaks


def interpolate_peaks(
    magnitude: Float[Tensor, "frames bins"],
    phase: Float[Tensor, "frames bins"],
    peaks: Bool[Tensor, "frames bins"],
) -> Peaks:
    """Find each peak between the bins, in float64.

    The top of the parabola through the linear magnitudes of three bins gives location and magnitude. The
    phase is interpolated linearly between two bins as it is, wrapped: from +pi to -pi it passes through 0.

    Args:
        magnitude: Linear.
        phase: In rad.
        peaks: As :func:`find_peaks` marks them, none in the first or last bin.

    Examples:
        >>> magnitude = torch.tensor([[0.0, 1.0, 1.5, 1.0, 0.0]])
        >>> interpolate_peaks(magnitude, torch.zeros(1, 5), magnitude > 1.2).location
        tensor([2.], dtype=torch.float64)
    """
    frame, bin_ = peaks.nonzero(as_tuple=True)
    left, center, right = (magnitude[frame, bin_ + step].double() for step in (-1, 0, 1))
    shift = (left - right) / (2 * (left - 2 * center + right))
    side = shift.sign().long()
    at_bin, beside = phase[frame, bin_].double(), phase[frame, bin_ + side].double()
    return Peaks(
        frame=frame,
        location=bin_ + shift,
        magnitude=center - (left - right) * shift / 4,
        phase=at_bin + (beside - at_bin) * shift.abs(),
    )


def spectral_peaks(spectrum: Complex[Tensor, "bins frames"], threshold_db: float) -> Peaks:
    """Peaks of every frame of a complex spectrum above a level (0 dB is magnitude 1).

    At the edge of a mirrored sound phases are 0 or pi, and the sign of pi would be that of a rounding error.
    It is always taken as -pi: so phases are the same on every machine, and nearest to the published ones.

    Examples:
        >>> spectrum = torch.tensor([[0.1, 0.1], [0.5, 0.1], [0.1, 0.1]]) + 0j  # three bins of two frames
        >>> peaks = spectral_peaks(spectrum, threshold_db=-20.0)
        >>> peaks.frame.tolist(), peaks.location.tolist()
        ([0], [1.0])
    """
    spectrum = spectrum.T
    magnitude, phase = spectrum.abs(), spectrum.angle()
    phase = torch.where(phase > math.pi - _ROUNDING_RAD, -math.pi, phase)
    peaks = find_peaks(20 * torch.log10(magnitude + 1e-8), threshold_db)
    return interpolate_peaks(magnitude, phase, peaks)


def track_modes(
    peaks: Peaks,
    *,
    diff_threshold: float = 2.5,
    position: Float[Tensor, "peaks"] | None = None,
    first_frame: str = "join",
    skip_empty_frames: bool = True,
    match_phases: bool = False,
) -> ModeTracks:
    """Join peaks to tracks, from the last frame to the first.

    In each frame every track, oldest first, takes the nearest peak that no track has taken yet, if it is
    nearer than ``diff_threshold`` percent of the track's own last position; else it goes on silently. Peaks
    that no track takes begin new ones. The defaults are those of the published features, oddities included.

    Args:
        peaks: Of one sound, on the CPU.
        diff_threshold: In percent of ``position``.
        position: Where each peak is, in the unit in which distances are measured, ascending within a frame
            (default: ``peaks.location``, so that the tolerance in cents grows with the square of the pitch).
        first_frame: "join" strings the peaks of the first frame with any (the last one in time) to a single
            track, one after the other; "split" begins a track with each.
        skip_empty_frames: Leave frames without peaks out, so that all that comes later moves one frame ahead
            for each. Otherwise tracks are silent in them and column ``t`` is frame ``t``.
        match_phases: Give each peak its own phase. Otherwise the phase is that of the peak as many places
            from the lowest of the frame as there were free peaks below, and a new track begins with the phase
            of the n-th peak seen after the first frame, n being its number.

    Raises:
        ValueError: ``first_frame`` is none of the two.

    Examples:
        >>> frame, steady = torch.arange(6), torch.full((6,), 24.0, dtype=torch.float64)
        >>> tracks = track_modes(Peaks(frame, steady, torch.linspace(1, 0, 6), torch.zeros(6)))
        >>> tracks.location.shape, tracks.length  # one mode in six frames
        (torch.Size([1, 6]), tensor([6]))
    """
    if first_frame not in ("join", "split"):
        raise ValueError(f"first_frame must be 'join' or 'split', got {first_frame!r}.")
    join = first_frame == "join"
    if len(peaks.frame) == 0:
        none = torch.zeros(0, 0, dtype=torch.float64)
        return ModeTracks(none, none, none, torch.zeros(0, dtype=torch.int64))
    order = torch.argsort(-peaks.frame, stable=True)
    counts = torch.bincount(peaks.frame).flip(0)  # from the last frame with peaks to frame 0
    if skip_empty_frames:
        counts = counts[counts > 0]
    place = (peaks.location if position is None else position)[order].double().numpy()
    return _assigned(peaks, order, counts, place, diff_threshold / 100, join, match_phases)


def _assigned(
    peaks: Peaks,
    order: Int[Tensor, "peaks"],
    counts: Int[Tensor, "columns"],
    place: np.ndarray,
    tolerance: float,
    join: bool,
    match_phases: bool,
) -> ModeTracks:
    """Tracks of the peaks in ``order``, of which each column has as many as ``counts`` says."""
    from drumblender.dsp.kernels.peaks_cpu import assign_peaks, lay_out_tracks  # numba is slow to import

    steps = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).numpy()
    track, phase_from, num_tracks = assign_peaks(steps, place, tolerance, join)
    phase = peaks.phase[order]
    if not match_phases:
        phase = phase[torch.from_numpy(phase_from)]
    values = torch.stack([peaks.location[order], phase, peaks.magnitude[order]]).numpy()
    num_columns = len(counts) + (int(counts[0]) - 1 if join else 0)
    tracks = torch.zeros(3, num_tracks, num_columns, dtype=torch.float64)
    length = torch.zeros(num_tracks, dtype=torch.int64)
    lay_out_tracks(steps, track, join, values, tracks.numpy(), length.numpy())
    return ModeTracks(location=tracks[0], phase=tracks[1], amp=tracks[2], length=length)
