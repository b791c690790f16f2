"""Fits mode tracks to a recording: their amplitudes to its band levels, and their phases to its waveform."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.bands import band_centers_hz, band_powers
from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.oscillators import modal_bank
from drumblender.dsp.precision import widen
from drumblender.types import Audio

Tracks = Float[Tensor, "batch modes frames"]


def match_amplitudes(
    audio: Audio,
    freq_rad: Tracks,
    amp: Tracks,
    phase_rad: Tracks,
    *,
    bands: dict[str, int | float],
    sample_rate: int,
    limit_db: float = 20.0,
    rounds: int = 2,
) -> Tracks:
    """Scale each mode, frame by frame, so that the modes together have the band levels of the recording.

    Args:
        audio: The recording, of ``batch`` sounds.
        freq_rad, amp, phase_rad: Its modes, with frames as ``align="hop"`` plays them.
        bands: ``n_fft``, ``hop_length``, ``num_bands``, ``low_hz`` and ``high_hz`` of :func:`band_powers`.
        sample_rate: Samples per second.
        limit_db: No amplitude moves further in a round.
        rounds: Play, compare and scale this many times.

    Returns:
        The new amplitudes.
    """
    centers_rad = band_centers_hz(bands["num_bands"], bands["low_hz"], bands["high_hz"]) * (
        2 * torch.pi / sample_rate
    )
    nearest = _nearest(centers_rad.to(freq_rad), freq_rad)
    wanted = band_powers(audio, sample_rate=sample_rate, **bands)
    floor = wanted.amax(dim=(1, 2), keepdim=True) * 1e-8
    limit = 10 ** (limit_db / 20)
    for _ in range(rounds):
        stem = modal_bank(freq_rad, amp, phase_rad, num_samples=audio.shape[-1], align="hop")
        played = band_powers(stem, sample_rate=sample_rate, **bands)
        gain = ((wanted + floor) / (played + floor)).sqrt().clamp(1 / limit, limit).mT
        if gain.shape[-1] != amp.shape[-1]:
            gain = interpolate_frames(gain, amp.shape[-1], align="hop")
        amp = amp * gain.gather(1, nearest)
    return amp


def fit_quadrature(
    audio: Audio,
    freq_rad: Tracks,
    amp: Tracks,
    phase_rad: Tracks,
    *,
    onset: int,
    num_samples: int,
    num_modes: int,
    knots: tuple[int, ...],
    ridge: float,
) -> tuple[Tracks, Tracks]:
    """Two amplitudes a mode, a quarter turn apart, that are closest to the waveform (ridge regression).

    Each of the strongest modes gets two gains on its amplitude, one of the sine and one of the cosine of its
    phase, in straight lines from knot to knot; after the last they are held, and before the onset nothing
    sounds. The gains of neighbouring knots meet only in the interval between them, so the normal equations
    are summed interval by interval.

    Args:
        audio: One recording, ``(1, samples)``.
        freq_rad, amp, phase_rad: Its modes, ``(1, modes, frames)``, as ``align="hop"`` plays them.
        onset: Frame at which the sound sets in.
        num_samples: How much of the recording is fitted, from its start.
        num_modes: How many of the modes, by energy.
        knots: Frames after the onset, ascending from 0.
        ridge: Weight of the gains' squares, in shares of a mean column's energy.

    Returns:
        Amplitudes of the sines and of the cosines, ``(1, modes, frames)``; the other modes keep theirs.

    Raises:
        ValueError: Knots that do not ascend from 0.
    """
    if knots[0] != 0 or list(knots) != sorted(set(knots)):
        raise ValueError(f"Knots ascend from frame 0 of the onset, got {knots}.")
    num_frames, size = amp.shape[-1], audio.shape[-1]
    num_samples = min(num_samples, size)
    used = amp[0].square().sum(dim=-1).argsort(descending=True)[:num_modes]
    freq = interpolate_frames(widen(freq_rad[0, used]), size, align="hop")[:, :num_samples]
    phase = freq.cumsum(dim=-1) + widen(phase_rad[0, used, :1])
    heard = freq.abs() < torch.pi
    carriers = torch.stack([phase.sin() * heard, phase.cos() * heard]).float()
    shapes = _hats(knots, onset, num_frames)[:, None].to(amp) * amp[0, used]
    envelopes = interpolate_frames(shapes, size, align="hop")[..., :num_samples]
    edges = [_first_sample(envelopes[number]) for number in range(1, len(knots))]
    gains = _ridge(carriers, envelopes, audio[0, :num_samples].float(), [0, *edges, num_samples], ridge)
    tracks = torch.einsum("kcm,kmf->cmf", gains.to(amp), shapes)
    in_phase, quadrature = amp.clone(), torch.zeros_like(amp)
    in_phase[0, used], quadrature[0, used] = tracks
    return in_phase, quadrature


def _hats(knots: tuple[int, ...], onset: int, num_frames: int) -> Float[Tensor, "knots frames"]:
    """Rows that are 1 on their knot and go straight to 0 on its neighbours; the last stays at 1."""
    frame = torch.arange(num_frames, dtype=torch.float64) - onset
    rows = []
    for number, knot in enumerate(knots):
        row = (frame >= 0).double()
        if number > 0:
            before = knots[number - 1]
            row = torch.minimum(row, (frame - before) / (knot - before))
        if number + 1 < len(knots):
            after = knots[number + 1]
            row = torch.minimum(row, (after - frame) / (after - knot))
        rows.append(row.clamp(min=0))
    return torch.stack(rows)


def _ridge(
    carriers: Float[Tensor, "2 modes samples"],
    envelopes: Float[Tensor, "knots modes samples"],
    wanted: Float[Tensor, "samples"],
    edges: list[int],
    ridge: float,
) -> Float[Tensor, "knots 2 modes"]:
    """Gains of every envelope on both its carriers; between two edges the same envelopes sound."""
    count, width = len(envelopes), 2 * carriers.shape[1]
    normal = torch.zeros(count, width, count, width, dtype=torch.float64)
    right = torch.zeros(count, width, dtype=torch.float64)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        here = [number for number in range(count) if envelopes[number, :, start:stop].any()]
        if stop <= start or not here:
            continue
        columns = (envelopes[here, None, :, start:stop] * carriers[:, :, start:stop]).flatten(0, 2)
        product = (columns @ columns.T).double().view(len(here), width, len(here), width)
        projected = (columns @ wanted[start:stop]).double().view(len(here), width)
        for a, row in enumerate(here):
            right[row] += projected[a]
            for b, column in enumerate(here):
                normal[row, :, column] += product[a, :, b]
    matrix = normal.reshape(count * width, count * width)
    matrix.diagonal().add_(ridge * matrix.diagonal().mean().clamp(min=1e-12))
    return torch.linalg.solve(matrix, right.flatten()).view(count, 2, -1)


def _first_sample(envelopes: Float[Tensor, "modes samples"]) -> int:
    """Where any of the envelopes begins."""
    sounding = envelopes.any(dim=0).nonzero()
    return int(sounding[0]) if len(sounding) else envelopes.shape[-1]


def _nearest(centers: Tensor, freq: Tracks) -> Tensor:
    """The number of the centre nearest to each frequency."""
    edges = (centers[1:] + centers[:-1]) / 2
    return torch.bucketize(freq.contiguous(), edges)
