"""Banks of sines: whose frequencies and amplitudes move from frame to frame, or that only ring and fade."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import Align, interpolate_frames
from drumblender.dsp.kernels import served, served_on_cuda
from drumblender.dsp.precision import in_full_precision, widen


def sine(
    freq_hz: Float[Tensor, "batch"],
    *,
    num_samples: int,
    sample_rate: float,
) -> Float[Tensor, "batch samples"]:
    """Sines of amplitude 1 that start at phase 0: ``sin(2 pi f n / sample_rate)``.

    Args:
        freq_hz: Frequency of each, in Hz. Not silenced above Nyquist.
        num_samples: Length of the output.
        sample_rate: Samples per second.

    Examples:
        >>> tone = sine(torch.tensor([4000.0]), num_samples=8, sample_rate=16000)
        >>> [round(sample) for sample in tone[0].tolist()]
        [0, 1, 0, -1, 0, 1, 0, -1]
    """
    _check_positive(num_samples=num_samples, sample_rate=sample_rate)
    turns = widen(freq_hz)[:, None] / sample_rate * _count(num_samples, freq_hz)
    return torch.sin(2 * math.pi * (turns - turns.round())).to(freq_hz.dtype)


@in_full_precision
def modal_bank(
    freq_rad: Float[Tensor, "#batch #modes #frames"],
    amp: Float[Tensor, "#batch #modes #frames"],
    phase_rad: Float[Tensor, "#batch #modes #phase_frames"] | None = None,
    *,
    num_samples: int,
    align: Align = "center",
    alias: bool = False,
) -> Float[Tensor, "batch samples"]:
    """Sum modes whose frequency and amplitude go in straight lines from frame to frame.

    The running phase is the inclusive sum of the frequency: the first sample already carries
    ``freq_rad[..., 0]``. Differentiable in all three tensors. float32 on the CPU, and on CUDA where
    Triton is installed, runs in a fused kernel that holds no tensor of modes times samples; elsewhere
    the phase is summed in float64, but on MPS, which has none.

    Args:
        freq_rad: Frequency, in radians a sample (Nyquist is pi). An axis of 1 is repeated.
        amp: Linear amplitude.
        phase_rad: Phase before the first sample, in radians: only its first frame counts. 0 without it.
        num_samples: Length of the output.
        align: Where the frames lie, as in :func:`~drumblender.dsp.envelopes.interpolate_frames`.
        alias: Let modes above Nyquist fold down, as the published drums do, instead of silencing them: in
            the frames where they are at or above it, and in the samples between frames where they are.

    Raises:
        ValueError: No samples are asked for, a tensor is empty, or the shapes do not fit.

    Examples:
        >>> modes = torch.rand(2, 3, 10)  # sounds, modes, frames
        >>> modal_bank(freq_rad=modes, amp=modes, num_samples=640).shape
        torch.Size([2, 640])
    """
    freq_rad, amp, phase_rad = _fitted(freq_rad, amp, phase_rad, num_samples)
    if not alias:
        amp = amp.masked_fill(freq_rad.abs() >= math.pi, 0.0)
    if _has_kernel(freq_rad, amp):
        from drumblender.dsp.kernels.oscillators import fused_modal_bank  # numba and Triton import slowly

        return fused_modal_bank(freq_rad, amp, phase_rad, num_samples, align, alias)
    # A running sum in float32 would drift: by 0.02 in a minute.
    tensors = (None if tensor is None else widen(tensor) for tensor in (freq_rad, amp, phase_rad))
    return modal_bank_plain(*tensors, num_samples=num_samples, align=align, alias=alias).to(amp.dtype)


def quadrature_bank(
    freq_rad: Float[Tensor, "batch modes frames"],
    amp: Float[Tensor, "batch modes frames"],
    quadrature: Float[Tensor, "batch modes frames"],
    phase_rad: Float[Tensor, "batch modes #phase_frames"],
    *,
    num_samples: int,
    align: Align = "center",
    alias: bool = False,
) -> Float[Tensor, "batch samples"]:
    """A :func:`modal_bank`, and a second one a quarter turn ahead whose amplitudes are ``quadrature``.

    Together they give each mode any amplitude and phase at any frame.

    Examples:
        >>> half_pi, zero, one = (torch.full((1, 1, 1), value) for value in (torch.pi / 2, 0.0, 1.0))
        >>> cosine = quadrature_bank(half_pi, zero, quadrature=one, phase_rad=zero, num_samples=4)
        >>> [round(sample) for sample in cosine[0].tolist()]
        [0, -1, 0, 1]
    """
    return modal_bank(
        torch.cat([freq_rad, freq_rad], dim=1),
        torch.cat([amp, quadrature], dim=1),
        torch.cat([phase_rad, phase_rad + math.pi / 2], dim=1),
        num_samples=num_samples,
        align=align,
        alias=alias,
    )


def modal_bank_plain(
    freq_rad: Float[Tensor, "batch modes frames"],
    amp: Float[Tensor, "batch modes frames"],
    phase_rad: Float[Tensor, "batch modes"] | None = None,
    *,
    num_samples: int,
    align: Align = "center",
    alias: bool = True,
) -> Float[Tensor, "batch samples"]:
    """:func:`modal_bank` as torch writes it down: for any device and type, and what the kernels are held to.

    No frame is silenced above Nyquist, and no sample but without ``alias``. ``phase_rad`` is the phase before
    the first sample.
    """
    freq_rad, amp = (interpolate_frames(track, num_samples, align=align) for track in (freq_rad, amp))
    if not alias:
        amp = amp.masked_fill(freq_rad.abs() >= math.pi, 0.0)
    phase = freq_rad.cumsum(dim=-1)
    if phase_rad is not None:
        phase = phase + phase_rad[..., None]
    return (amp * phase.sin()).sum(dim=1)


@in_full_precision
def damped_sines(
    freq_hz: Float[Tensor, "batch modes"],
    t60_s: Float[Tensor, "batch modes"],
    amp: Float[Tensor, "batch modes"],
    *,
    num_samples: int,
    sample_rate: float,
) -> Float[Tensor, "batch samples"]:
    """Sum sines that each start at phase 0 and fade by 60 dB in their own time.

    Modes at or above Nyquist are silent. Differentiable in all three tensors.

    Sample ``j K + k`` of a mode is the imaginary part of ``z^(jK) z^k``, so the sum over modes is one
    product of two thin matrices: no tensor of modes times samples, at any order of derivative.

    Args:
        freq_hz: Frequency of each mode, in Hz.
        t60_s: Seconds each mode takes to fall by 60 dB, above 0.
        amp: Linear amplitude of each mode at time 0.
        num_samples: Length of the output.
        sample_rate: Samples per second.

    Examples:
        >>> settings = {"num_samples": 8002, "sample_rate": 16000}
        >>> sound = damped_sines(*(torch.tensor([[value]]) for value in (4000.0, 0.5, 1.0)), **settings)[0]
        >>> round(20 * torch.log10(sound[8001] / sound[1]).item())  # half a second apart
        -60
    """
    _check_positive(num_samples=num_samples, sample_rate=sample_rate)
    amp = amp.masked_fill(freq_hz.abs() >= sample_rate / 2, 0.0)
    turns = widen(freq_hz)[..., None] / sample_rate  # a sample
    decay = (math.log(1000) / sample_rate / t60_s)[..., None]  # nepers a sample: 60 dB is a factor of 1000
    width = math.isqrt(num_samples - 1) + 1
    height = -(-num_samples // width)
    rows, columns = _count(height, freq_hz) * width, _count(width, freq_hz)
    row_sin, row_cos = _spiral(turns * rows, decay * rows.to(decay.dtype))
    column_sin, column_cos = _spiral(turns * columns, decay * columns.to(decay.dtype))
    rows_first = torch.cat([amp[..., None] * row_sin, amp[..., None] * row_cos], dim=1)
    columns_last = torch.cat([column_cos, column_sin], dim=1)  # sin(a + b) = sin a cos b + cos a sin b
    return (rows_first.transpose(-1, -2) @ columns_last).flatten(1)[:, :num_samples]


def _spiral(turns: Tensor, nepers: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of an angle, shrunk by ``exp(-nepers)``."""
    angle = (2 * math.pi * (turns - turns.round())).to(nepers.dtype)
    # Below -347 dB it is cut to 0: products of such numbers are subnormal, and slow a processor tenfold.
    shrink = torch.exp(-nepers).masked_fill(nepers > 40, 0.0)
    return shrink * angle.sin(), shrink * angle.cos()


def _fitted(
    freq_rad: Tensor, amp: Tensor, phase_rad: Tensor | None, num_samples: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Frequency and amplitude in one shape ``(batch, modes, frames)``, the phase as ``(batch, modes)``."""
    _check_positive(num_samples=num_samples)
    try:
        shape = torch.broadcast_tensors(freq_rad, amp)[0].shape  # broadcast_shapes would import sympy: 1 s
    except RuntimeError:
        shape = ()
    if len(shape) != 3 or 0 in shape:
        raise ValueError(
            "Frequencies and amplitudes need one shape (batch, modes, frames) without an empty axis, "
            f"got {tuple(freq_rad.shape)} and {tuple(amp.shape)}."
        )
    if phase_rad is None:
        return freq_rad.expand(shape), amp.expand(shape), None
    first = phase_rad[..., :1]
    if first.ndim != 3 or any(
        have not in (1, want) for have, want in zip(first.shape, (*shape[:2], 1), strict=True)
    ):
        raise ValueError(
            f"phase_rad of shape {tuple(phase_rad.shape)} does not fit modes of shape {tuple(shape)}."
        )
    if first.numel() == 0:
        raise ValueError("phase_rad has no frames; leave it out to start every mode at phase 0.")
    return freq_rad.expand(shape), amp.expand(shape), first[..., 0].expand(shape[:2])


def _has_kernel(*tensors: Tensor) -> bool:
    if any(tensor.dtype != torch.float32 for tensor in tensors):
        return False
    return served(*tensors) or served_on_cuda(*tensors)


def _check_positive(**numbers: float) -> None:
    if any(number <= 0 for number in numbers.values()):
        given = ", ".join(f"{name}={number}" for name, number in numbers.items())
        raise ValueError(f"Need more than 0, got {given}.")


def _count(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device, dtype=widen(like.new_empty(0)).dtype)
