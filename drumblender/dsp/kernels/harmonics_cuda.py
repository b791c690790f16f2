"""A bank of harmonics on CUDA: the running phase in fixed point, harmonics and samples in registers.

A phase is 32 bits of a turn. Its product with the order of a harmonic drops whole turns by overflow, so that
the phase of every harmonic is exact to its last bit and costs one multiplication of integers, where float64
is slow on most GPUs. What is kept for the way back is 8 bytes a sample, whatever the number of harmonics.
"""

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from triton import language as tl

from drumblender.dsp.envelopes import Upsampling, frame_blends, frame_starts, upsample_frames
from drumblender.dsp.kernels.turns_cuda import TWO_PI, cos_turns, sin_turns
from drumblender.dsp.tables import placed

_WIDTH = 256  # samples of a program
_TILE = 64, 16  # samples and harmonics of a program of the adjoint
_TURN = tl.constexpr(2.0**-32)


def fused_harmonic_bank(
    f0_hz: Tensor,
    amp: Tensor,
    num_samples: int,
    sample_rate: float,
    f0_upsampling: Upsampling,
    amp_upsampling: Upsampling,
) -> Tensor:
    """What ``harmonic_bank_plain`` does, for amplitudes in float32 on CUDA."""
    settings = num_samples, float(sample_rate), f0_upsampling, amp_upsampling
    return HarmonicBank.apply(f0_hz, amp.contiguous(), *settings)


class HarmonicBank(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f0_hz, amp, num_samples, sample_rate, f0_upsampling, amp_upsampling):
        phase, limit = _tuned(f0_hz, amp.shape[2], num_samples, sample_rate, f0_upsampling)
        ctx.save_for_backward(f0_hz, amp, phase, limit)
        ctx.settings = sample_rate, f0_upsampling, amp_upsampling
        return _sums(amp, phase, limit, amp_upsampling)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        f0_hz, amp, phase, limit = ctx.saved_tensors
        sample_rate, f0_upsampling, amp_upsampling = ctx.settings
        by_f0 = by_amp = None
        if ctx.needs_input_grad[0]:
            by_turns = grad * _sums(amp, phase, limit, amp_upsampling, slope=True)
            later = by_turns.flip(1).cumsum(dim=1, dtype=torch.float64).flip(1) / sample_rate
            by_f0 = _to_frames(later, f0_hz.shape[1], f0_upsampling).to(f0_hz.dtype)
        if ctx.needs_input_grad[1]:
            by_amp = _adjoint_of_amp(amp, phase, limit, grad.contiguous(), amp_upsampling)
        return by_f0, by_amp, None, None, None, None


def _tuned(
    f0_hz: Tensor, num_harmonics: int, num_samples: int, sample_rate: float, upsampling: Upsampling
) -> tuple[Tensor, Tensor]:
    """The running phase, and how many harmonics lie below Nyquist: -1 where the phase is not finite."""
    hz = upsample_frames(f0_hz.double(), num_samples, upsampling)
    turns = (hz / sample_rate).cumsum(dim=-1)
    hz, nyquist = hz.abs(), sample_rate / 2
    audible = (nyquist / hz).floor()
    audible = (audible - (audible * hz >= nyquist).double()).clamp(max=num_harmonics)
    limit = torch.where(turns.isfinite(), audible, -1.0).int()
    phase = ((turns - turns.round()).nan_to_num() * 2**32).round()  # half a turn is past the largest int32
    return phase.long().int(), limit


def _sums(amp: Tensor, phase: Tensor, limit: Tensor, upsampling: Upsampling, slope: bool = False) -> Tensor:
    """The samples, or their slopes over the turns of the fundamental."""
    (batch, num_samples), (_, num_frames, num_harmonics) = phase.shape, amp.shape
    left, blend = _blends(amp, num_samples, upsampling)
    out = torch.empty_like(phase, dtype=amp.dtype)
    grid = triton.cdiv(num_samples, _WIDTH), batch
    sizes = num_samples, num_frames, num_harmonics
    _sum_harmonics[grid](amp, left, blend, phase, limit, out, *sizes, SLOPE=slope, WIDTH=_WIDTH)
    return out


def _adjoint_of_amp(
    amp: Tensor, phase: Tensor, limit: Tensor, grad: Tensor, upsampling: Upsampling
) -> Tensor:
    (batch, num_samples), (_, num_frames, num_harmonics) = phase.shape, amp.shape
    _, blend = _blends(amp, num_samples, upsampling)
    starts = placed(frame_starts(num_frames, num_samples, upsampling), amp, torch.int64)
    by_low, by_high = torch.empty_like(amp), torch.empty_like(amp)
    width, orders = _TILE
    grid = triton.cdiv(num_harmonics, orders), num_frames, batch
    inputs = blend, starts, phase, limit, grad, by_low, by_high
    _sum_samples[grid](*inputs, num_samples, num_frames, num_harmonics, WIDTH=width, ORDERS=orders)
    return _joined(by_low, by_high)


def _to_frames(samples: Tensor, num_frames: int, upsampling: Upsampling) -> Tensor:
    """The adjoint of ``upsample_frames``: sums of spans, as differences of a running sum, so in one order."""
    _, blend = frame_blends(num_frames, samples.shape[1], upsampling)
    blend = placed(blend, samples)
    starts = placed(frame_starts(num_frames, samples.shape[1], upsampling), samples, torch.int64)
    parts = torch.stack([samples * (1 - blend), samples * blend])
    by_low, by_high = F.pad(parts.cumsum(dim=-1), (1, 0))[..., starts].diff(dim=-1)
    return _joined(by_low, by_high)


def _joined(by_low: Tensor, by_high: Tensor) -> Tensor:
    """What samples give to the frame before them and to the one after, which for the last is itself."""
    both = by_low.clone()
    both[:, 1:] += by_high[:, :-1]
    both[:, -1] += by_high[:, -1]
    return both


def _blends(amp: Tensor, num_samples: int, upsampling: Upsampling) -> tuple[Tensor, Tensor]:
    left, blend = frame_blends(amp.shape[1], num_samples, upsampling)
    return placed(left, amp, torch.int64), placed(blend, amp)


@triton.jit
def _sum_harmonics(
    amp,
    left,
    blend,
    phase,
    limit,
    out,
    num_samples,
    num_frames,
    num_harmonics,
    SLOPE: tl.constexpr,
    WIDTH: tl.constexpr,
):
    n = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    item, inside = tl.program_id(1).to(tl.int64), n < num_samples
    frame, share = tl.load(left + n, mask=inside, other=0), tl.load(blend + n, mask=inside, other=0.0)
    low = amp + (item * num_frames + frame) * num_harmonics
    high = amp + (item * num_frames + tl.minimum(frame + 1, num_frames - 1)) * num_harmonics
    turn = tl.load(phase + item * num_samples + n, mask=inside, other=0)
    audible = tl.load(limit + item * num_samples + n, mask=inside, other=0)
    total = tl.zeros([WIDTH], tl.float32)
    k, top = 0, tl.max(audible, axis=0)
    while k < top:
        a = tl.load(low + k)
        a += share * (tl.load(high + k) - a)
        x = (turn * (k + 1)).to(tl.float32) * _TURN
        wave = TWO_PI * (k + 1) * cos_turns(x) if SLOPE else sin_turns(x)
        total += tl.where(k < audible, a * wave, 0.0)
        k += 1
    total = tl.where(audible < 0, float("nan"), total)
    tl.store(out + item * num_samples + n, total, mask=inside)


@triton.jit
def _sum_samples(
    blend,
    starts,
    phase,
    limit,
    grad,
    by_low,
    by_high,
    num_samples,
    num_frames,
    num_harmonics,
    WIDTH: tl.constexpr,
    ORDERS: tl.constexpr,
):
    """For a frame and some harmonics: what the samples after it give to its amplitude, and to the next."""
    k = tl.program_id(0) * ORDERS + tl.arange(0, ORDERS)
    frame, item = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, stop = tl.load(starts + frame), tl.load(starts + frame + 1)
    total, tilt = tl.zeros([ORDERS], tl.float32), tl.zeros([ORDERS], tl.float32)
    while first < stop:
        n = first + tl.arange(0, WIDTH)
        inside = n < stop
        at = item * num_samples + n
        turn, audible = tl.load(phase + at, mask=inside, other=0), tl.load(limit + at, mask=inside, other=0)
        g = tl.where(audible < 0, float("nan"), tl.load(grad + at, mask=inside, other=0.0))
        share = tl.load(blend + n, mask=inside, other=0.0)
        x = (turn[:, None] * (k[None, :] + 1)).to(tl.float32) * _TURN
        heard = (k[None, :] < audible[:, None]) | (audible[:, None] < 0)
        h = tl.where(heard, g[:, None] * sin_turns(x), 0.0)
        total += tl.sum(h, axis=0)
        tilt += tl.sum(h * share[:, None], axis=0)
        first += WIDTH
    at = (item * num_frames + frame) * num_harmonics + k
    tl.store(by_low + at, total - tilt, mask=k < num_harmonics)
    tl.store(by_high + at, tilt, mask=k < num_harmonics)
