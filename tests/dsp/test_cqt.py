import math

import numpy as np
import pytest
import torch

from drumblender.dsp.cqt import CQTSettings, cqt, cqt_magnitudes

RATE = 16_000
SMALL = {"sample_rate": RATE, "hop_length": 128, "fmin_hz": 60.0, "n_bins": 72, "bins_per_octave": 12}


def settings(**changes) -> CQTSettings:
    return CQTSettings(**SMALL | changes)


def noise(generator, *shape, dtype=torch.float64):
    return torch.rand(*shape, generator=generator, dtype=dtype) * 2 - 1


def by_definition(audio: torch.Tensor, s: CQTSettings, bin_: int, frame: int) -> complex:
    """One value of the transform of ``(samples,)`` away from the ends, summed tap by tap."""
    quality = 1 / (2 ** (1 / s.bins_per_octave) - 1)
    freq_hz = s.fmin_hz * 2 ** (bin_ / s.bins_per_octave)
    length = math.ceil(quality * s.sample_rate / freq_hz)
    total = 0
    for tap in range(length):
        time = tap - math.ceil(length / 2)
        hann = 0.5 - 0.5 * math.cos(2 * math.pi * tap / length)
        turns = freq_hz * time / s.sample_rate
        total += hann * audio[frame * s.hop_length + time].item() * np.exp(-2j * math.pi * turns)
    return 2 * total / (length / 2)


@pytest.mark.parametrize("bin_", [0, 7, 30, 55, 71])
def test_a_unit_cosine_in_the_centre_of_a_bin_reads_one_with_its_phase(bin_):
    s = settings()
    freq_hz = s.freqs_hz[bin_]
    time_s = torch.arange(RATE, dtype=torch.float64) / RATE
    spectrum = cqt(torch.cos(2 * math.pi * freq_hz * time_s + 0.7).float()[None], s)
    assert spectrum.dtype == torch.complex64
    value = spectrum[0, bin_, 62]  # frame 62 lies in the middle
    expected = math.remainder(2 * math.pi * freq_hz * 62 * 128 / RATE + 0.7, 2 * math.pi)
    assert value.abs().item() == pytest.approx(
        1, abs=2e-5
    )  # the mirror image at -f is not quite out of sight
    assert math.remainder(value.angle().item() - expected, 2 * math.pi) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize("bin_, frame", [(0, 40), (13, 33), (24, 50), (40, 21), (71, 3)])
def test_equals_the_definition(generator, bin_, frame):
    audio = noise(generator, 10_000)
    found = cqt(audio[None], settings())[0, bin_, frame].item()
    assert found == pytest.approx(by_definition(audio, settings(), bin_, frame), abs=1e-7)


@pytest.mark.parametrize(
    "num_samples, changes",
    [
        (8_000, {}),
        (8_137, {"hop_length": 100, "norm": 2, "scale": "kernel"}),
        (8_000, {"hop_length": 37, "norm": None, "n_bins": 50}),
        (6_000, {"pad_mode": "constant", "scale": "sqrt_length", "n_bins": 150, "bins_per_octave": 24}),
        (3_000, {"pad_mode": "constant", "hop_length": 5_000}),
        (20_000, {"center": False}),
        (8_137, {"window": "hamming", "filter_scale": 0.5}),
        (300_000, {"hop_length": 512, "fmin_hz": 110.0, "n_bins": 30}),  # more than one block
    ],
)
def test_equals_the_time_domain_transform_of_nnaudio(generator, num_samples, changes):
    from nnAudio.features.cqt import CQT

    s = settings(**changes)
    reference = CQT(
        sr=s.sample_rate,
        hop_length=s.hop_length,
        fmin=s.fmin_hz,
        n_bins=s.n_bins,
        bins_per_octave=s.bins_per_octave,
        filter_scale=s.filter_scale,
        norm=s.norm,
        window=s.window,
        center=s.center,
        pad_mode=s.pad_mode,
        output_format="Complex",
        verbose=False,
    ).double()
    audio = noise(generator, 2, num_samples)
    scale = {"amplitude": "wrap", "sqrt_length": "librosa", "kernel": "convolutional"}[s.scale]
    expected = torch.view_as_complex(reference(audio, normalization_type=scale).contiguous())
    assert torch.equal(cqt(audio, s, backend="nnaudio"), expected)
    found = cqt(audio.float(), s)
    assert found.shape == expected.shape == (2, s.n_bins, s.num_frames(num_samples))
    error = (found - expected).abs().amax(dim=(0, 2)) / expected.abs().amax()
    assert error.max() < 2e-6


def test_is_differentiable(generator):
    s = settings(n_bins=20, bins_per_octave=4, sample_rate=2_000, fmin_hz=20.0, hop_length=50)
    audio = noise(generator, 2, s.min_samples + 20).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: torch.view_as_real(cqt(x, s)), audio, fast_mode=True)


def test_kernels_made_in_inference_mode_serve_training():
    s = settings(hop_length=111)
    audio = torch.ones(1, 8_000)
    with torch.inference_mode():
        cqt(audio, s)
    audio = torch.ones(1, 8_000, requires_grad=True)
    cqt(audio, s).abs().sum().backward()
    assert audio.grad.isfinite().all() and audio.grad.abs().max() > 0


def test_silence_has_a_finite_gradient_of_magnitudes():
    audio = torch.zeros(1, 8_000, requires_grad=True)
    cqt(audio, settings()).abs().sum().backward()
    assert audio.grad.isfinite().all()


def test_stays_in_float32_under_autocast(generator):
    audio = noise(generator, 1, 8_000, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = cqt(audio, settings())
    assert torch.equal(mixed, cqt(audio, settings()))


def test_a_top_bin_above_nyquist_is_refused_with_the_number_that_fits():
    assert settings(n_bins=85).freqs_hz[-1] <= RATE / 2
    with pytest.raises(ValueError, match="n_bins=86 must be at most 85"):
        settings(n_bins=86)


def test_needs_as_many_samples_as_the_reflection():
    s = settings()
    assert s.min_samples == math.ceil(s.lengths[0] / 2) + 1
    assert cqt(torch.zeros(1, s.min_samples), s).shape == (1, 72, s.min_samples // 128 + 1)
    with pytest.raises(ValueError, match=f"at least {s.min_samples} samples here, got {s.min_samples - 1}"):
        cqt(torch.zeros(1, s.min_samples - 1), s)
    assert settings(pad_mode="constant").min_samples == 1


@pytest.mark.parametrize(
    "changes", [{"hop_length": 0}, {"fmin_hz": -1.0}, {"norm": 3}, {"scale": "loud"}, {"pad_mode": "wrap"}]
)
def test_settings_out_of_range_are_refused(changes):
    # the shape checks of the test suite refuse a wrong name first
    with pytest.raises((ValueError, TypeError), match=next(iter(changes))):
        settings(**changes)


@pytest.mark.parametrize("changes", [{}, {"pad_mode": "constant", "hop_length": 100}, {"center": False}])
def test_magnitudes_without_complex_numbers_are_the_same(monkeypatch, generator, changes):
    audio = noise(generator, 2, 20_000)
    expected = cqt(audio, settings(**changes)).abs()
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert (cqt_magnitudes(audio, settings(**changes)) - expected).abs().max() < 1e-7


def test_an_export_leaves_nothing_behind(generator):
    fresh, audio = settings(fmin_hz=61.0), noise(generator, 1, 8_000)

    class Heard(torch.nn.Module):
        def forward(self, audio):
            return cqt_magnitudes(audio, fresh)

    torch.export.export(Heard(), (audio,))  # makes the kernels that the next call finds
    assert type(Heard()(audio)) is torch.Tensor


def test_the_transform_of_nnaudio_serves_a_training_after_a_test(generator):
    s, audio = settings(n_bins=12, fmin_hz=500.0), noise(generator, 1, 4000)
    with torch.inference_mode():
        first = cqt(audio, s, backend="nnaudio")
    again = cqt(audio.requires_grad_(), s, backend="nnaudio")
    again.abs().sum().backward()
    assert torch.equal(first, again) and audio.grad.isfinite().all()
