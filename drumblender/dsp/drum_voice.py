"""The voice of an analogue drum machine: swept sines and filtered noise, driven into a tanh."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.decays import ATTACK_S, decay_rate, decaying_sweep, exponential_decay
from drumblender.dsp.filters import biquad
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.types import Audio


@in_full_precision
def drum_voice(
    freq_hz: Float[Tensor, "batch sines"],
    sweep: Float[Tensor, "batch sines"],
    sweep_decay_ms: Float[Tensor, "batch"],
    decay_ms: Float[Tensor, "batch sines"],
    amp: Float[Tensor, "batch sines"],
    noise: Float[Tensor, "#batch samples"],
    noise_decay_ms: Float[Tensor, "batch"],
    noise_amp: Float[Tensor, "batch"],
    drive: Float[Tensor, "batch"],
    noise_filter: tuple[Float[Tensor, "batch 3"], Float[Tensor, "batch 3"]],
    *,
    sample_rate: float,
    clamp: bool = True,
    decay_after_filter: bool = False,
) -> Audio:
    """``tanh(drive * (sines + noise_amp * filtered noise))``, as long as the noise.

    On the CPU one compiled pass a row, without any signal in between; it equals :func:`drum_voice_plain`.
    Differentiable in all but the noise.

    Args:
        freq_hz, sweep, decay_ms, amp: Of each sine, as in :func:`~drumblender.dsp.decays.decaying_sweep`.
        sweep_decay_ms: How fast all sines fall in pitch.
        noise: White noise; one row serves the batch.
        noise_decay_ms: Time for the noise to fall by 60 dB.
        noise_amp: Linear level of the noise.
        drive: Linear gain into the tanh, not 0.
        noise_filter: Numerator and denominator of a biquad.
        sample_rate: Samples per second.
        clamp: Limit the filtered noise to [-1, 1].
        decay_after_filter: Let the noise decay after the filter instead of before it.
    """
    given = (freq_hz, sweep, sweep_decay_ms, decay_ms, amp, noise_decay_ms, noise_amp, drive, *noise_filter)
    if noise.requires_grad or not served(*given, noise):
        plain = *given[:5], noise, *given[5:8], noise_filter
        return drum_voice_plain(
            *plain, sample_rate=sample_rate, clamp=clamp, decay_after_filter=decay_after_filter
        )
    from drumblender.dsp.kernels.drum_voice import DrumVoice  # numba is slow to import

    step_rad = 2 * math.pi * freq_hz / sample_rate
    sweep_rate = decay_rate(sweep_decay_ms, sample_rate)[:, None].expand_as(freq_hz)
    tones = torch.stack([step_rad, sweep, sweep_rate, decay_rate(decay_ms, sample_rate), amp], dim=-1)
    b, a = noise_filter
    columns = [decay_rate(noise_decay_ms, sample_rate)[:, None], b, a[:, 1:], noise_amp[:, None]]
    settings = int(ATTACK_S * sample_rate), decay_after_filter, 1.0 if clamp else math.inf
    return DrumVoice.apply(tones, torch.cat(columns, dim=1), drive, noise, settings)


def drum_voice_plain(
    freq_hz: Tensor,
    sweep: Tensor,
    sweep_decay_ms: Tensor,
    decay_ms: Tensor,
    amp: Tensor,
    noise: Tensor,
    noise_decay_ms: Tensor,
    noise_amp: Tensor,
    drive: Tensor,
    noise_filter: tuple[Tensor, Tensor],
    *,
    sample_rate: float,
    clamp: bool = True,
    decay_after_filter: bool = False,
) -> Audio:
    """What :func:`drum_voice` computes, one signal after another: any device, any precision."""
    size = {"num_samples": noise.shape[-1], "sample_rate": sample_rate}
    fade = exponential_decay(noise_decay_ms, **size)
    if decay_after_filter:
        hiss = biquad(noise.expand_as(fade), *noise_filter, clamp=clamp) * fade
    else:
        hiss = biquad(noise * fade, *noise_filter, clamp=clamp)
    mix = noise_amp[:, None] * hiss
    for each in zip(*(tensor.unbind(dim=1) for tensor in (freq_hz, sweep, decay_ms, amp)), strict=True):
        freq, depth, decay, level = each
        mix = mix + decaying_sweep(freq, depth, sweep_decay_ms, decay, level, **size)
    return (drive[:, None] * mix).tanh()
