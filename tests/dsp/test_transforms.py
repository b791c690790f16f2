"""Transforms of ``torch.func`` and ``torch.compile`` go through the public ops."""

import pytest
import torch

from drumblender.dsp import (
    all_pole,
    band_filter,
    decays,
    energy,
    filtered_noise,
    filters,
    harmonics,
    loudness,
    moments,
    oscillators,
    resample,
    spectra,
    spectral_distance,
    splines,
    strings,
    windows,
)

RATE = 8000


def draw(*shape, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64)


def hz(*shape):
    return draw(*shape, low=100, high=1100)


def ms(*shape):
    return draw(*shape, low=10, high=110)


SIZE = {"num_samples": 60, "sample_rate": RATE}
FRAMES = {"frame_size": 16, "hop_length": 8}


def sums(x):
    return torch.stack(
        spectral_distance.spectral_sums(spectra.stft(x, 16, 4), spectra.stft(x, 16, 2)[:, ::2].detach()), 1
    )


OPS = {
    "biquad": (
        filters.biquad,
        lambda: (draw(3, 50), draw(3, 3), torch.tensor([[1, -0.9, 0.4]] * 3).double()),
    ),
    "exponential_decay": (lambda d: decays.exponential_decay(d, **SIZE), lambda: (ms(3),)),
    "decaying_sweep": (
        lambda *c: decays.decaying_sweep(*c, **SIZE),
        lambda: (hz(3), draw(3), ms(3), ms(3), draw(3)),
    ),
    "modal_bank": (
        lambda *c: oscillators.modal_bank(*c, num_samples=60),
        lambda: (draw(3, 2, 4), draw(3, 2, 4), draw(3, 2, 1)),
    ),
    "damped_sines": (
        lambda *c: oscillators.damped_sines(*c, **SIZE),
        lambda: (hz(3, 2), draw(3, 2, low=0.1), draw(3, 2)),
    ),
    "harmonic_bank": (lambda *c: harmonics.harmonic_bank(*c, **SIZE), lambda: (hz(3, 4), draw(3, 5, 6))),
    "all_pole": (all_pole.all_pole, lambda: (draw(3, 40), draw(3, 40, 2, high=0.2))),
    "windowed_all_pole": (
        lambda x, a: all_pole.windowed_all_pole(x, a, [0, 20]),
        lambda: (draw(3, 40), draw(3, 9, 2, high=0.2)),
    ),
    "karplus_strong": (
        lambda *c: strings.karplus_strong(*c, 20),
        lambda: (draw(3, 60), draw(3, 60, low=6, high=12), draw(3, 60, 2, high=0.3)),
    ),
    "inverse_karplus_strong": (
        lambda *c: strings.inverse_karplus_strong(*c, 20),
        lambda: (draw(3, 60), draw(3, 60, low=6, high=12), draw(3, 60, 2, high=0.3)),
    ),
    "constrain_loop_coefficients": (
        strings.constrain_loop_coefficients,
        lambda: (draw(3, 5, 2), draw(3, 5, 1)),
    ),
    "keep_windows": (lambda x: windows.keep_windows(x, [2, 20], 5), lambda: (draw(3, 40),)),
    "filtered_noise": (filtered_noise.filtered_noise, lambda: (draw(3, 4, 9), draw(3, 4, 16))),
    "spectral_sums": (sums, lambda: (draw(3, 60),)),
    "frame_magnitudes": (
        lambda x: torch.cat(moments.frame_magnitudes(x, ("hann", "flat_top"), **FRAMES), -1),
        lambda: (draw(3, 60),),
    ),
    "centroid_bins": (
        lambda m: moments.centroid_bins(m, compress=True, floor=1e-4),
        lambda: (draw(3, 4, 9),),
    ),
    "flatness": (moments.flatness, lambda: (draw(3, 4, 9),)),
    "k_weighted_power": (
        lambda x: loudness.k_weighted_power(x, RATE, **FRAMES),
        lambda: (draw(3, 60, low=-0.5, high=0.5),),
    ),
    "temporal_centroid_ms": (
        lambda x: energy.temporal_centroid_ms(x, sample_rate=RATE, window=8),
        lambda: (draw(3, 60),),
    ),
    "filter_bands": (
        lambda x, gain_db: band_filter.filter_bands(
            x, gain_db, n_fft=16, hop_length=4, sample_rate=RATE, low_hz=100.0, high_hz=0.4 * RATE
        ),
        lambda: (draw(2, 60), draw(2, 16, 3)),
    ),
    "kaiser_resample": (lambda x: resample.kaiser_resample(x, 8000, 6000), lambda: (draw(3, 60),)),
    "spline_upsample": (lambda x: splines.spline_upsample(x, 50), lambda: (draw(3, 6, 2),)),
}


def case(name):
    """The op, its arguments, what it gives, a weight for that, and the gradients of the weighted sum."""
    torch.manual_seed(0)
    op, make = OPS[name]
    args = make()
    leaves = [value.clone().requires_grad_() for value in args]
    out = op(*leaves)
    weight = torch.randn_like(out)
    return op, args, out.detach(), weight, torch.autograd.grad((out * weight).sum(), leaves)


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max().clamp(min=1e-6)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.usefixtures("unchecked")
def test_func_grad_and_vmap_equal_autograd(name):
    op, args, out, weight, expected = case(name)
    every = tuple(range(len(args)))
    assert_near(torch.func.grad(lambda *given: (op(*given) * weight).sum(), every)(*args), expected)

    def one(*given):
        return op(*(value[None] for value in given))[0]

    assert_near([torch.vmap(one)(*args)], [out])
    by_item = torch.func.grad(lambda share, *given: (one(*given) * share).sum(), tuple(n + 1 for n in every))
    assert_near(torch.vmap(by_item)(weight, *args), expected)


@pytest.mark.parametrize("name", ["biquad", "modal_bank", "karplus_strong", "spectral_sums"])
@pytest.mark.usefixtures("unchecked")
def test_compile_goes_through(name):
    op, args, out, weight, expected = case(name)
    leaves = [value.clone().requires_grad_() for value in args]
    found = torch.compile(op, backend="aot_eager")(*leaves)
    assert_near([found.detach()], [out])
    assert_near(torch.autograd.grad((found * weight).sum(), leaves), expected)
