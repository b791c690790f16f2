"""A plucked string after Karplus and Strong: a delay line whose output comes back through a short filter.

J. O. Smith, "Physical Audio Signal Processing" (the loop and its linearly interpolated delay);
"Differentiable Karplus-Strong" (WASPAA 2025): the constraints and the inverse as an analysis filter.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.all_pole import bounds, sparse_all_pole, sparse_all_pole_inverse, working_dtype
from drumblender.dsp.kernels import check_on_cuda, readable, served

_WRONG_PERIOD = (
    "A period must be finite and above 0. Fill unvoiced frames with the pitch of their neighbours first."
)
_LIMIT = 1e-6  # samples by which the delay stays under its maximum


def karplus_strong(
    excitation: Float[Tensor, "batch samples"],
    period: Float[Tensor, "batch samples"],
    loop_coefficients: Float[Tensor, "batch samples taps"],
    max_delay: int,
    zi: Float[Tensor, "batch state"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Let an excitation ring in the loop of a string, in float64 inside whatever its type.

    Args:
        excitation: What goes into the string.
        period: Length of one period, in samples, finite and above 0. The delay is clamped to ``max_delay``.
        loop_coefficients: Impulse response of the loop filter; where its magnitudes sum to less than 1, the
            string fades.
        max_delay: Longest delay of the line, in samples.
        zi: The :func:`state_size` outputs before the start, oldest first; None is a string at rest. What
            follows a block is ``drumblender.dsp.all_pole.final_state(zi, block)``.

    Examples:
        >>> pluck = torch.nn.functional.pad(torch.rand(1, 100) - 0.5, (0, 7900))
        >>> period, loop = torch.full((1, 8000), 100.0), torch.tensor([0.49, 0.49]).expand(1, 8000, 2)
        >>> string = karplus_strong(pluck, period, loop, max_delay=200)
        >>> bool(string[:, :1000].std() > string[:, -1000:].std() > 0)
        True
    """
    return sparse_all_pole(excitation, *_precise_taps(period, loop_coefficients, max_delay), zi)


def inverse_karplus_strong(
    signal: Float[Tensor, "batch samples"],
    period: Float[Tensor, "batch samples"],
    loop_coefficients: Float[Tensor, "batch samples taps"],
    max_delay: int,
    zi: Float[Tensor, "batch state"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """The excitation that makes :func:`karplus_strong` play ``signal``; arguments as there.

    Examples:
        >>> pluck = torch.nn.functional.pad(torch.rand(1, 100) - 0.5, (0, 900))
        >>> string = torch.full((1, 1000), 50.0), torch.full((1, 1000, 2), 0.49), 100
        >>> torch.allclose(inverse_karplus_strong(karplus_strong(pluck, *string), *string), pluck, atol=1e-5)
        True
    """
    return sparse_all_pole_inverse(signal, *_precise_taps(period, loop_coefficients, max_delay), zi)


def state_size(max_delay: int, loop_order: int) -> int:
    """Samples that a string with ``loop_order + 1`` loop coefficients remembers.

    Examples:
        >>> state_size(max_delay=100, loop_order=1)
        103
    """
    return max_delay + loop_order + 2


def fractional_delay_taps(
    period: Float[Tensor, "batch samples"],
    loop_coefficients: Float[Tensor, "batch samples taps"],
    max_delay: int,
    min_period: float = 0.0,
) -> tuple[Int[Tensor, "batch samples"], Float[Tensor, "batch samples wider"]]:
    """Delay and loop filter as one sparse denominator: a whole lag and the taps from there on.

    The delay makes the loop one period long at the pitch: it leaves out the phase delay of the loop filter
    there. Its fraction is interpolated linearly, which adds one tap and, towards Nyquist, a little
    delay of its own. The lag is constant to the gradient; the fraction has slope 1 inside the limits.

    Args:
        period: Length of one period, in samples.
        loop_coefficients: Impulse response of the loop filter.
        max_delay: Longest delay of the line, in samples; what is beyond is clamped.
        min_period: Shorter periods, also those below 0, are raised to it.

    Returns:
        The lag, at least 1, and the taps with the sign of a denominator.

    Raises:
        ValueError: A period is not finite or not above 0, or the line is shorter than one sample.

    Examples:
        >>> period, loop = torch.tensor([[100.0]]), torch.tensor([[[0.5, 0.5]]])
        >>> lag, taps = fractional_delay_taps(period, loop, max_delay=200)
        >>> lag, round(taps.sum().item(), 3)
        (tensor([[99]]), -1.0)
    """
    lag, taps = _precise_taps(period, loop_coefficients, max_delay, min_period)
    return lag, taps.to(loop_coefficients.dtype)


def constrain_loop_coefficients(
    raw: Float[Tensor, "... taps"], raw_gain: Float[Tensor, "... 1"], low: float = 0.0, high: float = 1.0
) -> Float[Tensor, "... taps"]:
    """Positive loop coefficients from any real numbers; they sum to the loop's gain, from low to high.

    Examples:
        >>> coefficients = constrain_loop_coefficients(torch.randn(3), torch.zeros(1))
        >>> bool((coefficients > 0).all()), round(coefficients.sum().item(), 3)
        (True, 0.5)
    """
    if raw.dtype == raw_gain.dtype and served(raw, raw_gain):
        from drumblender.dsp.kernels.strings import Squash  # numba is slow to import

        return Squash.apply(raw, raw_gain.expand(*raw.shape[:-1], 1), low, high)
    return share_out(torch.sigmoid(raw), low + (high - low) * torch.sigmoid(raw_gain))


def constrain_excitation_coefficients(raw: Float[Tensor, "... order_and_gain"]) -> Float[Tensor, "... order"]:
    """Coefficients of a stable all-pole filter: column 0 is their sum, the others share it.

    Examples:
        >>> constrain_excitation_coefficients(torch.zeros(5))
        tensor([0.1250, 0.1250, 0.1250, 0.1250])
    """
    return constrain_loop_coefficients(raw[..., 1:], raw[..., :1])


def share_out(weights: Float[Tensor, "... taps"], total: Float[Tensor, "... 1"]) -> Float[Tensor, "... taps"]:
    """Divide a total in the proportions of positive weights.

    Examples:
        >>> share_out(torch.tensor([1.0, 3.0]), total=torch.tensor([2.0]))
        tensor([0.5000, 1.5000])
    """
    return weights * (total / weights.sum(dim=-1, keepdim=True))


def _precise_taps(
    period: Tensor, loop_coefficients: Tensor, max_delay: int, min_period: float = 0.0
) -> tuple[Tensor, Tensor]:
    if max_delay < 1:
        raise ValueError(f"A string needs a delay of at least 1 sample, got {max_delay=}.")
    lowest = 0.0 if min_period <= 0 else -math.inf
    check_on_cuda(period, lowest, math.inf, _WRONG_PERIOD)
    if period.numel() and readable(period):
        shortest, longest = bounds(period)  # NaN where one is
        if not lowest < shortest <= longest < math.inf:
            wrong = ~((period > lowest) & (period < math.inf))
            item, sample = wrong.nonzero()[0].tolist()
            value = period[item, sample].item()
            raise ValueError(f"The period of item {item} at sample {sample} is {value}. {_WRONG_PERIOD}")
    dtype = working_dtype(period.device)
    period64, loop64 = period.to(dtype), loop_coefficients.to(dtype)
    if served(period64, loop64):
        from drumblender.dsp.kernels.strings import Taps

        return Taps.apply(period64.contiguous(), loop64.contiguous(), max_delay, min_period)
    return _taps_plain(period64, loop64, max_delay, min_period)


def _taps_plain(
    period: Tensor, loop: Tensor, max_delay: int, min_period: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The formula of :func:`fractional_delay_taps` in torch, for every device."""
    period = period.clamp(min=min_period) if min_period > 0 else period
    omega = 2 * torch.pi / period
    turns = omega[..., None] * torch.arange(loop.shape[-1], device=loop.device, dtype=loop.dtype)
    angle = _angle(-(loop * turns.sin()).sum(dim=-1), (loop * turns.cos()).sum(dim=-1))
    delay = (period - 1 + angle / omega).clamp(0, max_delay - _LIMIT)
    whole = delay.detach().floor()
    alpha = (delay - whole)[..., None]
    taps = -torch.nn.functional.pad((1 - alpha) * loop, (0, 1)) - torch.nn.functional.pad(
        alpha * loop, (1, 0)
    )
    return whole.long() + 1, taps


def _angle(y: Tensor, x: Tensor) -> Tensor:
    """``atan2(y, x)``; onnxruntime has it in float32 only, and one step of Newton's leads to float64."""
    if not torch.onnx.is_in_onnx_export():
        return torch.atan2(y, x)
    near = torch.atan2(y.float(), x.float()).to(y)
    sine, cosine = near.sin(), (near + torch.pi / 2).sin()
    return near + (y * cosine - x * sine) / (x * cosine + y * sine)
