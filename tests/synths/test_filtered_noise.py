import pytest
import torch

from drumblender.dsp.stft_noise import mean_square_of_bands, stft_filter
from drumblender.synths.filtered_noise import FilteredNoiseSynth


@pytest.mark.parametrize("name", ["01_65", "02_129"])
def test_golden_noise(golden, name):
    case = golden("guitar", f"noise_synth_{name}")
    magnitude = case["in_filter_magnitudes"].requires_grad_()
    synth = FilteredNoiseSynth(case.config["init"]["n_bands"], pad_last=False)
    audio = synth({"magnitude": magnitude}, case["out_audio"].shape[1], noise=case["in_noise"])
    case.check("out_audio", audio)
    (grad,) = torch.autograd.grad((audio * case["cot_audio"]).sum(), magnitude)
    case.check("grad_filter_magnitudes", grad)


def test_golden_noise_of_the_global_generator(golden):
    case = golden("guitar", "noise_synth_03_global_seed")
    torch.manual_seed(case.config["seed"])
    synth = FilteredNoiseSynth(case.config["init"]["n_bands"], pad_last=False)
    case.check("out_audio", synth({"magnitude": case["in_filter_magnitudes"]}, case["out_audio"].shape[1]))


@pytest.mark.parametrize("frames", [100, 101, 37])
def test_the_last_hop_is_filled(generator, frames):
    audio = FilteredNoiseSynth()({"magnitude": torch.ones(1, frames, 65)}, 16000, generator=generator)
    assert audio[:, -160:].square().mean().sqrt() == pytest.approx(1, abs=0.2)
    published = FilteredNoiseSynth(pad_last=False)(
        {"magnitude": torch.ones(1, 100, 65)}, 16000, generator=generator
    )
    assert published[:, -160:].abs().max() == 0


def test_power_is_that_of_the_bands(generator):
    magnitude = torch.linspace(0, 1, 9)[None, None].expand(1, 201, 9)
    noise = torch.randn(1, 200 * 160 + 1024, generator=generator)
    power = stft_filter(noise, magnitude).square().mean()
    assert power == pytest.approx(mean_square_of_bands(magnitude)[0, 0].item(), rel=0.05)


def test_wrong_calls_are_refused(generator, unchecked):
    with pytest.raises(ValueError, match="hop_length=600"):
        FilteredNoiseSynth(hop_length=600)
    with pytest.raises(ValueError, match="65"):
        FilteredNoiseSynth()({"magnitude": torch.ones(1, 5, 9)}, 800)
    with pytest.raises(ValueError, match="too few"):
        stft_filter(torch.zeros(1, 700), torch.ones(1, 9, 3))
