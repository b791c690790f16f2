"""Exponential decays, and the sines whose loudness and pitch they shape.

Rates are computed in the dtype of the controls, as the published drum synthesisers do: rounding a rate to
float32 moves the phase by radians after a second, so it belongs to the sound. All that follows is exact.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import served, served_on_cuda
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.types import Audio

ATTACK_S = 0.001
_NATS_IN_60_DB = 6.91


def decay_rate(decay_ms: Float[Tensor, "..."], sample_rate: float) -> Float[Tensor, "..."]:
    """Factor from one sample to the next of what falls by 60 dB in ``decay_ms``, to first order.

    Examples:
        >>> rate = decay_rate(torch.tensor(1000.0), 48000)
        >>> round(20 * torch.log10(rate.double() ** 48000).item())  # dB after a second
        -60
    """
    return 1 - _NATS_IN_60_DB / (decay_ms * sample_rate / 1000)


@in_full_precision
def exponential_decay(
    decay_ms: Float[Tensor, "batch"],
    *,
    num_samples: int,
    sample_rate: float,
    attack_s: float = ATTACK_S,
) -> Float[Tensor, "batch samples"]:
    """Rise in a straight line to 1 within the attack, then fall exponentially.

    With A whole samples of attack: ``(n + 1) / A`` before sample A, ``rate ** (n - A)`` from there on.

    Args:
        decay_ms: Time to fall by 60 dB after the attack, in milliseconds.
        num_samples: Length of the output.
        sample_rate: Samples per second.
        attack_s: Seconds of attack, rounded down to whole samples; 0 starts at 1.

    Raises:
        ValueError: No samples are asked for, or the attack is negative.

    Examples:
        >>> decay = exponential_decay(torch.tensor([100.0]), num_samples=5, sample_rate=1000, attack_s=0.002)
        >>> decay.round(decimals=2)
        tensor([[0.5000, 1.0000, 1.0000, 0.9300, 0.8700]])
    """
    attack = _attack_samples(num_samples, sample_rate, attack_s)
    rate = decay_rate(decay_ms, sample_rate)
    if served(rate):
        from drumblender.dsp.kernels.decays import Decay  # numba is slow to import

        return Decay.apply(rate, attack, num_samples)
    return _decay_plain(widen(rate), attack, num_samples).to(rate.dtype)


@in_full_precision
def decaying_sweep(
    freq_hz: Float[Tensor, "batch"],
    sweep: Float[Tensor, "batch"],
    sweep_decay_ms: Float[Tensor, "batch"],
    decay_ms: Float[Tensor, "batch"],
    amp: Float[Tensor, "batch"],
    *,
    num_samples: int,
    sample_rate: float,
    attack_s: float = ATTACK_S,
) -> Audio:
    """Sines that fade while their pitch falls: both along an :func:`exponential_decay` of its own.

    The phase starts at 0 and has a closed form, so no running sum over samples is kept. Differentiable in
    the five controls.

    Args:
        freq_hz: Frequency that the pitch falls to.
        sweep: How far above it the pitch is at the height of its decay, as a ratio: 1 is an octave.
        sweep_decay_ms: Time for the pitch's excess to fall by 60 dB.
        decay_ms: Time for the loudness to fall by 60 dB.
        amp: Linear amplitude.
        num_samples: Length of the output.
        sample_rate: Samples per second.
        attack_s: Seconds that both decays take to rise.

    Raises:
        ValueError: No samples are asked for, or the attack is negative.

    Examples:
        >>> knobs = dict.fromkeys(("freq_hz", "sweep_decay_ms", "decay_ms"), torch.tensor([100.0]))
        >>> knobs |= {"sweep": torch.ones(1), "amp": torch.ones(1)}
        >>> kick = decaying_sweep(**knobs, num_samples=4800, sample_rate=48000)
        >>> int((kick[:, 1:] * kick[:, :-1] < 0).sum()) > 20  # crossings in 100 ms; 100 Hz alone has 20
        True
    """
    attack = _attack_samples(num_samples, sample_rate, attack_s)
    rates = decay_rate(sweep_decay_ms, sample_rate), decay_rate(decay_ms, sample_rate)
    step_rad = 2 * math.pi * freq_hz / sample_rate
    controls = (step_rad, sweep, *rates, amp)
    if served(*controls):
        from drumblender.dsp.kernels.decays import Sweep

        return Sweep.apply(*controls, attack, num_samples)
    if served_on_cuda(*controls) and {control.dtype for control in controls} == {torch.float32}:
        from drumblender.dsp.kernels.decays_cuda import Sweep as SweepOnCuda

        return SweepOnCuda.apply(*controls, attack, num_samples)
    step, depth, sweep_rate, fade_rate, gain = (widen(control) for control in controls)
    phase = _phase(step, depth[:, None] * _decay_plain(sweep_rate, attack, num_samples))
    fade = _decay_plain(fade_rate, attack, num_samples)
    return (gain[:, None] * fade * phase.sin()).to(amp.dtype)


@in_full_precision
def modulated_sine(
    freq_hz: Float[Tensor, "batch"],
    modulation: Float[Tensor, "#batch samples"],
    depth: Float[Tensor, "batch"],
    *,
    sample_rate: float,
) -> Audio:
    """Sines of amplitude 1 whose frequency is ``freq_hz * (1 + depth * modulation)``, from phase 0.

    The phase of a sample sums the frequencies before it. Not silenced above Nyquist.

    Examples:
        >>> freq_hz, modulation, depth = torch.tensor([100.0]), torch.zeros(1, 480), torch.ones(1)
        >>> steady = modulated_sine(freq_hz, modulation, depth, sample_rate=48000)
        >>> torch.allclose(steady, torch.sin(2 * torch.pi * 100 / 48000 * torch.arange(480)), atol=1e-5)
        True
    """
    step_rad = 2 * math.pi * freq_hz / sample_rate
    phase = _phase(widen(step_rad), widen(depth)[:, None] * widen(modulation))
    return phase.sin().to(freq_hz.dtype)


def _phase(step_rad: Tensor, excess: Tensor) -> Tensor:
    """Sum the steps before each sample: exact in float64, which the cumulative sum needs over a second."""
    before = excess.cumsum(dim=-1) - excess
    count = torch.arange(excess.shape[-1], device=excess.device, dtype=excess.dtype)
    return step_rad[:, None] * (count + before)


def _decay_plain(rate: Tensor, attack: int, num_samples: int) -> Tensor:
    count = torch.arange(num_samples, device=rate.device, dtype=rate.dtype)
    rise = (count + 1) / max(attack, 1)
    fall = rate[:, None] ** (count - attack).clamp(min=0)
    return torch.where(count < attack, rise, fall)


def _attack_samples(num_samples: int, sample_rate: float, attack_s: float) -> int:
    if num_samples < 1:
        raise ValueError(f"Need at least 1 sample, got {num_samples=}.")
    if attack_s < 0:
        raise ValueError(f"An attack takes 0 seconds or more, got {attack_s=}.")
    return int(attack_s * sample_rate)
