import math

import numpy as np
import pytest
import torch

from drumblender.features.trackers import _around_the_loudest, available_trackers, tracker
from drumblender.features.tracking import Tracker

HERE = [name for name in available_trackers() if name != "fcnf0"]  # whose weights do not come with it


def tone(freq_hz: float, seconds: float, rate: int) -> torch.Tensor:
    time_s = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return sum(0.3 / k * torch.sin(2 * math.pi * k * freq_hz * time_s) for k in range(1, 6)).float()


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_finds_a_tone_at_any_rate(name, rate):
    ear = tracker(name, hop_s=0.02)
    track = ear(tone(220.0, 1.0, rate), rate)
    assert len(track.f0_hz) == len(track.voiced) == len(track.confidence) == 50 + ear.hears_end
    middle = slice(10, 40)
    cents = 1200 * (track.f0_hz[middle] / 220).log2().abs()
    assert cents.median() < 20 and track.voiced[middle].float().mean() > 0.9
    assert track.confidence.min() >= 0 and track.confidence.max() <= 1


@pytest.mark.parametrize("name", HERE)
def test_silence_has_no_voice(name):
    track = tracker(name, hop_s=0.02)(torch.zeros(8000), 16000)
    assert not track.voiced.any() and track.f0_hz.isfinite().all() and (track.f0_hz > 0).all()


@pytest.mark.parametrize("name", HERE)
def test_draws_from_no_generator_of_others(name):
    def drawn():
        return torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].copy())  # noqa: NPY002

    before = drawn()
    tracker(name, hop_s=0.02)(tone(220.0, 0.5, 16000), 16000)
    assert all(map(torch.equal, before, drawn()))


@pytest.mark.skipif("crepe" not in HERE, reason="needs torchcrepe")
def test_crepe_decodes_as_torchcrepe_without_its_dither(monkeypatch):
    decode, cents = pytest.importorskip("torchcrepe").decode, torch.arange(360) * 20 + 1997.3794084376191
    monkeypatch.setattr(decode.weighted_argmax, "weights", cents[None, :, None], raising=False)
    activations = torch.randn(2, 360, 5, generator=torch.Generator().manual_seed(0))
    activations[:, :30] = -torch.inf
    activations[0, 359, 0] = activations[1, 30, 1] = 9  # at the edges
    bins, f0_hz = _around_the_loudest(activations)
    expected = decode.weighted_argmax(activations.clone())
    assert torch.equal(bins, expected[0])
    torch.testing.assert_close(f0_hz, expected[1])


def test_spans_join_without_a_seam():
    rate = 16000
    time_s = torch.arange(4 * rate, dtype=torch.float64) / rate
    glide = torch.sin(2 * math.pi * (150 * time_s + 20 * time_s**2)).float()  # 150 to 310 Hz
    whole = tracker("yin", hop_s=0.02)(glide, rate)
    parts = tracker("yin", hop_s=0.02)(glide, rate, span_s=0.5)
    assert len(whole.f0_hz) == len(parts.f0_hz) == 200
    cents = 1200 * (whole.f0_hz / parts.f0_hz)[5:-5].log2().abs()
    assert cents.max() < 5


class Counting(Tracker):
    """Remembers how much it was given at once."""

    longest = 0

    def span(self, audio):
        self.longest = max(self.longest, len(audio))
        at = np.arange(0, len(audio) / self.sample_rate, self.hop_s)
        return at, np.full(len(at), 100.0), np.ones(len(at))


def test_memory_does_not_grow_with_the_length():
    counting = Counting()
    track = counting(torch.zeros(120 * 8000), 8000, span_s=5.0)
    assert len(track.f0_hz) == 12000 and counting.longest <= 6 * counting.sample_rate


def test_short_sounds_have_a_frame():
    assert len(tracker("yin")(torch.zeros(1), 16000).f0_hz) == 1


def test_rejects(unchecked):
    with pytest.raises(ValueError, match="'ear'"):
        tracker("ear")
    with pytest.raises(ValueError, match="from 0 to 1, got threshold=5"):
        tracker("yin", threshold=5)
    with pytest.raises(ValueError, match="hop_s=0"):
        tracker("yin", hop_s=0)
    for audio in (torch.zeros(0), torch.zeros(2, 5), torch.tensor([torch.nan])):
        with pytest.raises(ValueError, match="mono|finite"):
            tracker("yin")(audio, 16000)


def test_a_frame_lies_on_the_end_whatever_the_length():
    from drumblender.features.note_curves import pitch_of

    for hops in (205, 41, 100):
        f0_hz, _ = pitch_of(torch.zeros(1, 160 * hops), 16000, 160, "yin")
        assert f0_hz.shape == (1, hops + 1)
