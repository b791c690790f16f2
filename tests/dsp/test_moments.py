"""Shared spectra of frames, and what is read from them."""

import pytest
import torch

from drumblender.dsp.moments import (
    analysis_window,
    centroid_bins,
    centroid_plain,
    flatness,
    flatness_plain,
    frame_magnitudes,
    frame_magnitudes_plain,
    spread_bins,
    weigh,
)


@pytest.mark.parametrize("size, hop", [(256, 100), (255, 64), (2, 1)])
@pytest.mark.parametrize("windows", [("flat_top", "hann"), ("hann", "none", "symmetric_hann")])
def test_windows_that_share_an_fft_see_what_each_would_alone(generator, size, hop, windows):
    audio = torch.randn(5, 1000, generator=generator, dtype=torch.float64, requires_grad=True)
    shared = frame_magnitudes(audio, windows, frame_size=size, hop_length=hop)
    alone = [
        frame_magnitudes_plain(audio, analysis_window(name, size, torch.float64), hop) for name in windows
    ]
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in alone]
    for ours, plain in zip(shared, alone, strict=True):
        assert torch.allclose(ours, plain, atol=1e-10)
    grads = [torch.autograd.grad(parts, audio, weights)[0] for parts in (shared, alone)]
    assert torch.allclose(*grads, atol=1e-9)


def test_silence_has_no_magnitude_and_no_gradient():
    audio = torch.zeros(1, 512, requires_grad=True)
    spectra = frame_magnitudes(audio, ("hann", "flat_top"), frame_size=256, hop_length=128)
    sum(part.sum() for part in spectra).backward()
    assert all((part == 0).all() for part in spectra) and (audio.grad == 0).all()


@pytest.mark.parametrize("bins", [7, 128, 200, 1025])
@pytest.mark.parametrize("compress, floor", [(False, None), (False, 0.5), (True, None), (True, 0.5)])
def test_centroid_by_products_is_the_weighted_mean(generator, bins, compress, floor):
    magnitude = 3 * torch.rand(4, bins, generator=generator, dtype=torch.float64)
    magnitude[1] *= 1e-6
    magnitude[2] *= 1e12  # the products of these overflow
    magnitude.requires_grad_()
    weight = torch.randn(4, generator=generator, dtype=torch.float64)
    results = []
    for centre in (
        centroid_bins(magnitude, compress=compress, floor=floor),
        centroid_plain(weigh(magnitude, compress, floor)),
    ):
        results.append((centre, torch.autograd.grad((centre * weight).sum(), magnitude)[0]))
    for ours, plain in zip(*results, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bins", [7, 128, 200, 1025])
def test_flatness_by_products_is_the_ratio_of_means(generator, bins):
    magnitude = torch.rand(3, bins, generator=generator, dtype=torch.float64) ** 8
    magnitude[1] *= 1e9
    magnitude.requires_grad_()
    results = []
    for ratio in (flatness(magnitude), flatness_plain(magnitude)):
        results.append((ratio, torch.autograd.grad(ratio.sum(), magnitude)[0]))
    for ours, plain in zip(*results, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-8, atol=1e-12)


def test_a_flat_spectrum_is_flat_and_centred():
    flat = torch.ones(1, 101)
    assert flatness(flat).item() == pytest.approx(1)
    assert centroid_bins(flat).item() == pytest.approx(50)
    assert spread_bins(flat).item() == pytest.approx((101**2 - 1) / 12)


def test_gradients_match_finite_differences(generator):
    audio = torch.randn(2, 40, generator=generator, dtype=torch.float64, requires_grad=True)

    def features(x):
        first, second = frame_magnitudes(x, ("flat_top", "hann"), frame_size=16, hop_length=8)
        return centroid_bins(first, compress=True), flatness(second), spread_bins(first)

    torch.autograd.gradcheck(features, audio)


def test_a_sound_shorter_than_a_frame_is_refused():
    with pytest.raises(ValueError, match="100 samples are shorter than one frame of 256"):
        frame_magnitudes(torch.zeros(1, 100), ("hann",), frame_size=256, hop_length=128)
    with pytest.raises(ValueError, match="hamming"):
        analysis_window("hamming", 5)


def test_no_sounds_are_refused(unchecked):
    with pytest.raises(ValueError, match="0 sounds of 600 samples"):
        frame_magnitudes(torch.zeros(0, 600), ("hann",), frame_size=256, hop_length=64)
