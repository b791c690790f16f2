"""Fits mode tracks to a recording: their amplitudes to its band levels, and their phases to its waveform."""

from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from drumblender.dsp.bands import band_centers_hz, band_powers
from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.kernels.chirps import Blocks, cut_blocks
from drumblender.dsp.kernels.oscillators import mode_columns
from drumblender.dsp.oscillators import modal_bank
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

    Examples:
        >>> freq_rad, amp, phase_rad = (torch.full((1, 1, 33), value) for value in (0.2, 0.1, 0.0))
        >>> sound = modal_bank(freq_rad, 5 * amp, phase_rad, num_samples=8192, align="hop")
        >>> bands = {"n_fft": 1024, "hop_length": 256, "num_bands": 32, "low_hz": 50, "high_hz": 7000}
        >>> found = match_amplitudes(sound, freq_rad, amp, phase_rad, bands=bands, sample_rate=16000)
        >>> round(found.mean().item(), 2)
        0.5
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
    are summed interval by interval and solved knot by knot.

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

    Examples:
        >>> freq_rad, amp, phase_rad = (torch.full((1, 1, 33), value) for value in (0.2, 1.0, 0.0))
        >>> cosine = modal_bank(freq_rad, amp, phase_rad + torch.pi / 2, num_samples=8192, align="hop")
        >>> settings = {"onset": 0, "num_samples": 8192, "num_modes": 1, "knots": (0,), "ridge": 1e-6}
        >>> fitted = fit_quadrature(cosine, freq_rad, amp, phase_rad, **settings)
        >>> [abs(round(part.mean().item(), 2)) for part in fitted]  # of the sine and of the cosine
        [0.0, 1.0]
    """
    if knots[0] != 0 or list(knots) != sorted(set(knots)):
        raise ValueError(f"Knots ascend from frame 0 of the onset, got {knots}.")
    num_frames, size = amp.shape[-1], audio.shape[-1]
    num_samples = min(num_samples, size)
    wanted = audio[0, :num_samples].float()
    used = amp[0].square().sum(dim=-1).argsort(descending=True)[:num_modes]
    shapes = _hats(knots, onset, num_frames).to(amp)[..., None] * amp[0, used].T
    shapes = shapes.masked_fill(freq_rad[0, used].T.abs() >= torch.pi, 0.0)
    frames = [max(onset - 1, 0), *(onset + knot for knot in knots)]
    blocks = cut_blocks(num_frames, size, "hop", amp)
    envelopes = _sounding(shapes, torch.tensor(frames), blocks)
    columns = mode_columns(freq_rad[0, used].T, envelopes, phase_rad[0, used, 0], blocks, num_samples)
    edges = [min(-(-frame * size // max(num_frames - 1, 1)), num_samples) for frame in frames]
    normal = _Chain(len(knots), 2 * len(used))
    for number, (start, stop) in enumerate(pairwise([*edges, num_samples])):
        groups = range(max(number - 1, 0), min(number + 1, len(knots)))
        if stop > start:
            normal.add(groups, columns[: len(groups), ..., start:stop].flatten(0, 2), wanted[start:stop])
    gains = normal.solve(ridge).view(len(knots), 2, -1)
    tracks = torch.einsum("kcm,kfm->cmf", gains.to(amp), shapes)
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


def _sounding(
    shapes: Float[Tensor, "knots frames modes"], frames: Int64[Tensor, "edges"], blocks: Blocks
) -> Float[Tensor, "2 2 blocks modes"]:
    """Where each block starts on the two shapes that sound in it, and what each sample adds.

    Two sound from one knot to the next: that of the knot before, and that of the one to come.
    """
    interval = torch.searchsorted(frames, blocks.left, right=True) - 1
    knot = torch.stack([interval - 1, interval]).clamp(0, len(shapes) - 1)
    level = shapes[knot, blocks.left]
    slope = shapes[knot, blocks.right] - level
    return torch.stack([level + slope * blocks.position.to(slope)[:, None], slope * blocks.step])


class _Chain:
    """Normal equations of groups of columns, each of which overlaps with its neighbours alone."""

    def __init__(self, count: int, width: int) -> None:
        self.own = torch.zeros(count, width, width, dtype=torch.float64)
        self.next = torch.zeros(max(count - 1, 0), width, width, dtype=torch.float64)
        self.right = torch.zeros(count, width, dtype=torch.float64)

    def add(
        self, groups: range, columns: Float[Tensor, "columns samples"], wanted: Float[Tensor, "samples"]
    ) -> None:
        """Add samples on which these one or two groups sound; the columns of the first come first."""
        width = len(columns) // len(groups)
        products, right = (columns @ columns.T).double(), (columns @ wanted).double()
        for group, part in zip(groups, (slice(width), slice(width, None)), strict=False):
            self.own[group] += products[part, part]
            self.right[group] += right[part]
        if len(groups) == 2:
            self.next[groups.start] += products[:width, width:]

    def solve(self, ridge: float) -> Float[Tensor, "groups width"]:
        """The gains; where rounding leaves no minimum (modes that are one), with ten times the ridge.

        Raises:
            ValueError: What was added is not finite.
        """
        weight = ridge * self.own.diagonal(dim1=1, dim2=2).mean().clamp(min=1e-12)
        if not weight.isfinite():
            raise ValueError("A recording is fitted by finite samples and modes; some are not.")
        while (found := self._solved(weight)) is None:  # it is the largest number of all before long
            weight = 10 * weight
        return found

    def _solved(self, weight: Tensor) -> Float[Tensor, "groups width"] | None:
        """Eliminate group after group, then go back (Cholesky)."""
        own = self.own + weight * torch.eye(self.own.shape[1], dtype=self.own.dtype)
        right, factors = self.right.clone(), []
        for group, block in enumerate(own):
            if group > 0:
                link = self.next[group - 1]
                across = torch.cholesky_solve(link, factors[-1])
                right[group] -= across.T @ right[group - 1]
                block = block - link.T @ across
            factor, failed = torch.linalg.cholesky_ex(block)
            if failed:
                return None
            factors.append(factor)
        found = torch.empty_like(right)
        for group in reversed(range(len(right))):
            if group < len(self.next):
                right[group] -= self.next[group] @ found[group + 1]
            found[group] = torch.cholesky_solve(right[group, :, None], factors[group])[:, 0]
        return found


def _nearest(centers: Tensor, freq: Tracks) -> Tensor:
    """The number of the centre nearest to each frequency."""
    edges = (centers[1:] + centers[:-1]) / 2
    return torch.bucketize(freq.contiguous(), edges)
