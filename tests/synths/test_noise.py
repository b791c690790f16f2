import pytest
import torch

from drumblender.dsp.noise import white_noise
from drumblender.dsp.units import Range
from drumblender.synths import NoiseSynth


@pytest.mark.parametrize("name", ["pub", "crop", "small"])
def test_published_numbers(golden, name):
    case = golden("drums", f"NoiseGenerator_{name}")
    bands, noise = case["in_noise_bands"], case["in_noise"]
    synth = NoiseSynth(bands.shape[-1], noise.shape[-1], filter="published")
    audio = synth({"magnitude": bands}, case.config["call"]["target_length"], noise=noise)
    case.check("out_audio", audio)


@pytest.mark.parametrize("num_samples", [1, 63, 64, 65, 96, 97, 1000])
@pytest.mark.parametrize("num_frames", [1, 2, 100])
def test_any_frames_make_any_length(num_frames, num_samples):
    audio = NoiseSynth(num_bands=5, win_length=64)({"magnitude": torch.ones(2, num_frames, 5)}, num_samples)
    assert audio.shape == (2, num_samples) and audio.isfinite().all()


def test_few_frames_are_spread_over_the_sound():
    fading = torch.tensor([1.0, 0.0]).reshape(1, 2, 1).expand(1, 2, 9)
    audio = NoiseSynth(num_bands=9, win_length=64, seed=0)({"magnitude": fading}, 64000)[0]
    rms = audio.unflatten(0, (4, -1)).square().mean(dim=-1).sqrt()
    # Held at 1 for a quarter, then a line down to 0. Hann windows half apart sum to 1, their powers to 3/4.
    assert rms[0] == pytest.approx((0.75 / 3) ** 0.5, rel=0.05)
    assert rms[1] > 1.5 * rms[2] > 0 and rms[3] < 1e-4


def test_bands_shape_the_spectrum():
    magnitude = torch.zeros(1, 1, 33)
    magnitude[..., 8] = 1  # a quarter of the way to Nyquist
    audio = NoiseSynth(num_bands=33, win_length=256, seed=1)({"magnitude": magnitude}, 65536)
    power = torch.fft.rfft(audio[0]).abs().square()
    share = power.cumsum(0) / power.sum()
    low, high = (int(edge * len(power)) for edge in (0.15, 0.35))
    assert share[high] - share[low] > 0.9


def test_noise_repeats_with_a_seed_or_a_generator_and_not_without():
    controls = {"magnitude": torch.ones(1, 4, 5)}
    free, seeded = NoiseSynth(5, 32), NoiseSynth(5, 32, seed=4)
    assert not torch.equal(free(controls, 80), free(controls, 80))
    assert torch.equal(seeded(controls, 80), seeded(controls, 80))
    drawn = free(controls, 80, generator=torch.Generator().manual_seed(4))
    assert torch.equal(drawn, seeded(controls, 80))
    given = white_noise((1, 4, 32), generator=torch.Generator().manual_seed(4))
    assert torch.equal(free(controls, 80, noise=given), drawn)


def test_a_seed_gives_every_sound_of_a_batch_the_same_noise():
    controls = {"magnitude": torch.ones(3, 4, 5)}
    seeded = NoiseSynth(5, 32, seed=4)(controls, 80)
    assert torch.equal(seeded, seeded[:1].expand(3, -1))
    drawn = NoiseSynth(5, 32)(controls, 80)
    assert not torch.equal(drawn[0], drawn[1])


def test_a_range_spreads_decibels():
    leveled, plain = NoiseSynth(5, 32, seed=4, level_db=Range(-60, 0)), NoiseSynth(5, 32, seed=4)
    level = {"level": torch.full((1, 4, 5), 2 / 3)}
    assert torch.allclose(leveled(level, 80), plain({"magnitude": torch.full((1, 4, 5), 0.1)}, 80), atol=1e-6)
    assert leveled.to_units(level)["level_db"].flatten()[0].item() == pytest.approx(-20, abs=1e-4)
    assert plain.to_units({"magnitude": level["level"]}) == {"magnitude": level["level"]}


def test_noise_stays_in_float32_under_bfloat16_autocast():
    synth = NoiseSynth(5, 32, seed=0)
    magnitude = torch.linspace(0, 1, 10).reshape(1, 2, 5).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        audio = synth({"magnitude": magnitude}, 200)
    assert torch.equal(audio, synth({"magnitude": magnitude.float()}, 200))


def test_what_does_not_fit_is_refused():
    synth = NoiseSynth(num_bands=5, win_length=32)
    with pytest.raises(ValueError, match=r"\(batch, frames, 5\), got .*\(1, 2, 6\)"):
        synth({"magnitude": torch.ones(1, 2, 6)}, 40)
    with pytest.raises(ValueError, match=r"noise of shape \(1, 2, 32\), got \(1, 3, 32\)"):
        synth({"magnitude": torch.ones(1, 2, 5)}, 40, noise=torch.zeros(1, 3, 32))
    with pytest.raises(ValueError, match="num_bands=1"):
        NoiseSynth(num_bands=1)
