import math

import pytest
import torch

from drumblender.dsp.filtered_noise import (
    amp_to_impulse_response,
    filter_frames,
    filtered_noise,
    filtered_noise_plain,
    overlap_add,
)
from drumblender.dsp.noise import white_noise


def test_white_noise_is_uniform_and_repeats_with_its_seed():
    noise = white_noise((100, 1000), generator=torch.Generator().manual_seed(3))
    assert noise.min() >= -1 and noise.max() < 1
    assert noise.mean().abs() < 0.01 and noise.std() == pytest.approx(1 / math.sqrt(3), abs=0.01)
    again = white_noise((100, 1000), generator=torch.Generator().manual_seed(3), draw_on_device=True)
    assert torch.equal(noise, again)


def test_without_a_generator_the_global_seed_decides():
    torch.manual_seed(7)
    first = white_noise((5,))
    torch.manual_seed(7)
    assert torch.equal(white_noise((5,)), first) and not torch.equal(white_noise((5,)), first)


def test_equal_bands_give_a_single_impulse():
    response = amp_to_impulse_response(torch.full((1, 9), 0.7), 16)
    assert response[0, 0] == pytest.approx(0.7)
    assert response[0, 1:].abs().max() < 1e-6


def test_response_is_even_on_its_circle_and_has_the_magnitudes_it_should():
    # One period over the bands is an echo 8 samples away, where the Hann window of 32 samples stands at 1/2.
    magnitude = 1 + 0.5 * torch.cos(2 * math.pi * torch.arange(17) / 4)
    response = amp_to_impulse_response(magnitude[None], 64)[0]
    assert torch.allclose(response[1:], response[1:].flip(0), atol=1e-7)
    expected = torch.zeros(64)
    expected[[0, 8, -8]] = torch.tensor([1.0, 0.125, 0.125])
    assert torch.allclose(response, expected, atol=1e-6)


def test_a_response_longer_than_the_frame_loses_its_right_end():
    magnitude = torch.rand(1, 33, generator=torch.Generator().manual_seed(0))
    whole = amp_to_impulse_response(magnitude, 64).roll(32, dims=-1)
    assert torch.allclose(
        amp_to_impulse_response(magnitude, 40).roll(32, dims=-1), whole[..., :40], atol=1e-7
    )


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33])
def test_filtering_is_a_convolution_that_neither_wraps_nor_rings_on(size, generator):
    frames, response = torch.randn(2, 2, 3, size, generator=generator, dtype=torch.float64)
    expected = torch.zeros_like(frames)
    for n in range(size):
        for lag in range(n + 1):
            expected[..., n] += response[..., lag] * frames[..., n - lag]
    assert torch.allclose(filter_frames(frames, response), expected, atol=1e-12)


@pytest.mark.parametrize("window, hop", [(8, 4), (9, 4), (8, 3), (4, 8), (5, 1)])
def test_overlap_add_lays_frames_a_hop_apart(window, hop, generator):
    frames = torch.randn(2, 6, window, generator=generator)
    expected = torch.zeros(2, 5 * hop + window)
    for index in range(6):
        expected[:, index * hop : index * hop + window] += frames[:, index]
    assert torch.allclose(overlap_add(frames, hop), expected, atol=1e-6)


@pytest.mark.parametrize("filter", ["linear", "published"])
def test_gradients_match_finite_differences(filter, generator):
    noise = white_noise((1, 3, 8), generator=generator, dtype=torch.float64).requires_grad_()
    magnitude = torch.randn(1, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda m, n: filtered_noise(m, n, filter), (magnitude, noise))


def test_filtering_stays_in_float32_under_bfloat16_autocast(generator):
    noise = white_noise((1, 3, 16), generator=generator)
    magnitude = torch.rand(1, 3, 5, generator=generator).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        audio = filtered_noise(magnitude, noise)
    assert torch.equal(audio, filtered_noise(magnitude.float(), noise))


@pytest.mark.parametrize(
    "magnitude, noise", [((1, 2, 5), (1, 3, 8)), ((1, 2, 5), (1, 2, 1)), ((1, 2, 1), (1, 2, 8))]
)
def test_shapes_that_do_not_fit_are_refused(magnitude, noise):
    with pytest.raises(ValueError, match="at least 2 bands|need as many frames of noise"):
        filtered_noise(torch.zeros(magnitude), torch.zeros(noise))


def test_frames_without_a_hop_are_refused():
    with pytest.raises(ValueError, match="hop_length=0"):
        overlap_add(torch.zeros(1, 2, 3), 0)


@pytest.mark.parametrize("name", ["pub", "nolen", "crop", "small"])
def test_published_numbers(golden, name):
    case = golden("drums", f"NoiseGenerator_{name}")
    magnitude, noise = case["in_noise_bands"].requires_grad_(), case["in_noise"]
    response = amp_to_impulse_response(magnitude, noise.shape[-1])
    audio = filtered_noise(magnitude, noise, "published")[:, : case.config["call"]["target_length"]]
    case.check("out_audio", audio)
    case.check("out_impulse_response", response)
    ((audio * case["in_ct_audio"]).sum() + (response * case["in_ct_impulse_response"]).sum()).backward()
    case.check("grad_noise_bands", magnitude.grad)


@pytest.mark.parametrize("filter", ["linear", "published"])
@pytest.mark.parametrize("bands, window", [(128, 256), (32, 1024), (33, 64), (300, 64), (2, 8), (5, 2)])
def test_the_kernel_is_the_formula(filter, bands, window, generator):
    magnitude = torch.randn(2, 11, bands, generator=generator).requires_grad_()
    noise = white_noise((2, 11, window), generator=generator)
    exact_magnitude = magnitude.detach().double().requires_grad_()
    exact = filtered_noise_plain(exact_magnitude, noise.double(), filter)
    fast = filtered_noise(magnitude, noise, filter)
    weight = torch.randn(fast.shape, generator=generator)
    (exact * weight.double()).sum().backward()
    (fast * weight).sum().backward()
    assert fast.shape == exact.shape
    for found, expected in ((fast, exact), (magnitude.grad, exact_magnitude.grad)):
        assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


@pytest.mark.parametrize("bands, window", [(32, 1024), (128, 256)])
@pytest.mark.parametrize("band", [0.25, 0.8])
def test_linear_filtering_keeps_bands_apart(bands, window, band, generator):
    band = round(band * bands)
    magnitude = torch.zeros(1, 400, bands)
    magnitude[..., band] = 1
    audio = filtered_noise(magnitude, white_noise((1, 400, window), generator=generator))[0, window:-window]
    level_db = band_levels_db(audio, bands)
    away = (torch.arange(bands) - band).abs()
    assert level_db[away >= 2].max() < level_db[band] - 40
    published = filtered_noise(magnitude, white_noise((1, 400, window), generator=generator), "published")
    leaked_db = band_levels_db(published[0], bands)
    assert leaked_db[away >= 2].max() > leaked_db[band] - 20


def test_linear_filtering_has_the_level_it_is_given(generator):
    level_db = torch.linspace(0, -60, 64)  # steps of a decibel; 60 dB from end to end
    magnitude = (10 ** (level_db / 20)).expand(1, 600, 64)
    audio = filtered_noise(magnitude, white_noise((1, 600, 512), generator=generator))[0, 512:-512]
    found_db = band_levels_db(audio, 64)
    assert (found_db - found_db[32] - level_db + level_db[32])[1:-1].abs().max() < 1


def band_levels_db(audio, bands):
    """Mean power of each band between the halfway points to its neighbours."""
    window = torch.blackman_window(4096)
    power = torch.stft(audio, 4096, window=window, return_complex=True).abs().square().mean(dim=-1)
    band = (torch.linspace(0, bands - 1, len(power))).round().long()
    total = torch.zeros(bands).index_add_(0, band, power) / torch.bincount(band, minlength=bands)
    return 10 * torch.log10(total)


def test_an_unknown_filter_is_refused(unchecked):
    with pytest.raises(ValueError, match="'linear' or 'published', got 'causal'"):
        filtered_noise(torch.zeros(1, 2, 5), torch.zeros(1, 2, 8), "causal")
