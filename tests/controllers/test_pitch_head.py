import pytest
import torch

from drumblender.controllers.pitch_head import PitchHead
from drumblender.dsp.units import Range
from drumblender.encoders.pitch_cnn import PitchCNN

SIZES = {"f0_hz": 1, "amp": 20}


def built(num_features: int = 855, sizes: dict[str, int] | None = None, **init) -> PitchHead:
    torch.manual_seed(0)
    head = PitchHead(**init)
    head.build(num_features, sizes or SIZES, {})
    return head


def test_encoder_and_head_have_the_published_number_of_parameters():
    encoder = PitchCNN()
    head = built(encoder.num_features)
    assert sum(p.numel() for part in (encoder, head) for p in part.parameters()) == 46_012


def test_a_published_sound_has_sixteen_frames_and_a_cached_transform_the_same_features():
    torch.manual_seed(0)
    encoder = PitchCNN().eval()
    audio = 0.1 * torch.randn(2, 4096)
    features = encoder(audio)
    assert features.shape == (2, 16, 855)
    cached = PitchCNN(cached=True).eval()
    cached.load_state_dict(encoder.state_dict())
    assert cached.hears == ("cqt",)
    torch.testing.assert_close(cached(encoder.cqt(audio[:, :-1])), features)


def test_pitch_lies_in_the_range_and_amplitudes_below_two():
    controls = built(pitch_scale=5.0)(torch.randn(3, 4, 855))
    assert controls["f0_hz"].shape == (3, 4, 1) and controls["amp"].shape == (3, 4, 20)
    assert controls["f0_hz"].min() >= 32.7 and controls["f0_hz"].max() <= 7750.7
    assert controls["amp"].min() > 0 and controls["amp"].max() < 2.01


def test_starts_where_it_is_told():
    head = built(first_amp=0.6, amp_scale=0.0, pitch_scale=0.0)
    controls = head(torch.randn(1, 2, 855))
    expected = 0.6 * 0.8 ** torch.arange(20.0)
    torch.testing.assert_close(controls["amp"], expected.expand(1, 2, 20))
    middle = (32.7 * 7750.68) ** 0.5  # equal shares: the middle of the range in octaves
    torch.testing.assert_close(controls["f0_hz"], torch.full((1, 2, 1), middle), rtol=1e-4, atol=0)


def test_makes_several_pitches_and_those_in_the_range_of_a_synth():
    controls = built(30, {"freq_hz": 3, "amp": 3}, num_bins=40)(torch.randn(1, 2, 30))
    assert controls["freq_hz"].shape == (1, 2, 3)
    controls = built(30, {"f0": 1, "gain": 1}, num_bins=40)(torch.randn(1, 2, 30))
    assert controls["f0"].min() >= 0 and controls["f0"].max() <= 1


def test_names_what_it_cannot_make():
    head = PitchHead()
    assert head.makes("f0_hz") and not head.makes("level")
    with pytest.raises(ValueError, match="not level"):
        head.build(10, {"f0_hz": 1, "level": 3}, {})


@pytest.mark.parametrize(
    "init, message",
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"first_amp": 3.0}, "first_amp=3.0"),
        ({"range_hz": Range(30, 3000)}, "log: true"),
    ],
)
def test_rejects(init, message):
    with pytest.raises(ValueError, match=message):
        PitchHead(**init)
