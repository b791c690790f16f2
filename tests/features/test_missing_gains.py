import math

import pytest
import torch

from drumblender.features import MissingGains
from drumblender.synths import BandEqualiser
from drumblender.tasks.measures import measured

BANDS = {"sample_rate": 16000, "num_bands": 32, "n_fft": 512, "hop_length": 128}


def fading(harmonics: list[float], per_s: float) -> torch.Tensor:
    time_s = torch.arange(16000) / 16000
    parts = [amp * torch.sin(2 * math.pi * 220 * k * time_s + k) for k, amp in enumerate(harmonics, start=1)]
    return (torch.exp(-per_s * time_s) * sum(parts))[None]


def equalised(wanted: torch.Tensor, mix: torch.Tensor, **options) -> torch.Tensor:
    controls = MissingGains(**BANDS, **options)({"audio": wanted, "mix": mix}).controls
    return BandEqualiser(**BANDS)(controls, mix.shape[-1], source=mix)


def test_gains_bring_a_sound_to_the_colour_and_the_fading_of_another():
    wanted, mix = fading([0.2, 0.3, 0.1, 0.02], 6), fading([0.5, 0.2, 0.1, 0.1], 3)
    before, after = (measured(sound, wanted, 16000) for sound in (mix, equalised(wanted, mix)))
    assert before["bld_db"] > 5 and after["bld_db"] < 0.2 * before["bld_db"]
    assert before["level_db"] > 2 and after["level_db"] < 0.3


def test_what_is_alike_is_left_as_it_is():
    sound = fading([0.3, 0.2], 4)
    assert torch.allclose(equalised(sound, sound, smooth_frames=3), sound, atol=1e-5)


@pytest.mark.parametrize("limit_db", [6.0, 24.0])
def test_gains_stay_within_their_limit(limit_db):
    loud, soft = fading([0.5], 1), fading([0.5], 1) * 1e-3
    for wanted, mix, sign in ((loud, soft, 1), (soft, loud, -1)):
        gain_db = MissingGains(**BANDS, limit_db=limit_db)({"audio": wanted, "mix": mix}).controls["gain_db"]
        assert gain_db.abs().max() <= limit_db and (sign * gain_db).max() == limit_db


def test_silence_on_either_side_asks_for_no_boost_of_nothing(generator):
    noise, silence = torch.randn(1, 16000, generator=generator), torch.zeros(1, 16000)
    assert equalised(noise, silence).abs().max() == 0
    assert equalised(silence, noise).square().mean().sqrt() < 0.15  # as low as the limit goes
    assert not MissingGains(**BANDS)({"audio": silence, "mix": silence}).controls["gain_db"].any()


def test_even_frames_and_no_limit_are_refused():
    with pytest.raises(ValueError, match="smooth_frames=2"):
        MissingGains(16000, smooth_frames=2)
    with pytest.raises(ValueError, match="limit_db=0"):
        MissingGains(16000, limit_db=0)
