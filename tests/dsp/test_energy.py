"""The amplitude envelope and its centre."""

import pytest
import torch

from drumblender.dsp.energy import amplitude_envelope, temporal_centroid_ms
from drumblender.dsp.moments import analysis_window


@pytest.mark.parametrize("window", [1, 37, 64, 600])
def test_the_envelope_is_the_correlation_with_the_window(generator, window):
    audio = torch.randn(2, 3, 300, generator=generator)
    padded = torch.nn.functional.pad(audio.square(), ((window - 1) // 2, window - 1 - (window - 1) // 2))
    expected = (padded.unfold(-1, window, 1) * analysis_window("hann", window)).sum(dim=-1)
    assert torch.allclose(amplitude_envelope(audio, window), expected, atol=1e-4)


@pytest.mark.parametrize("window", [37, 64, 600])
def test_the_centre_without_a_convolution_is_the_centre_of_the_envelope(generator, window):
    audio = torch.randn(4, 300, generator=generator, dtype=torch.float64, requires_grad=True)
    envelope = amplitude_envelope(audio, window)
    expected = (envelope * torch.arange(300)).sum(dim=-1) / (envelope.sum(dim=-1) + 1e-8)
    centre = temporal_centroid_ms(audio, sample_rate=1000, window=window)
    assert torch.allclose(centre, expected, rtol=1e-9)
    grads = [torch.autograd.grad(value.sum(), audio, retain_graph=True)[0] for value in (centre, expected)]
    assert torch.allclose(*grads, rtol=1e-6, atol=1e-12)


def test_a_click_is_centred_on_itself_and_silence_on_the_start():
    audio = torch.zeros(2, 1000)
    audio[0, 500] = 1
    centre = temporal_centroid_ms(audio, sample_rate=1000, window=65)
    assert centre[0] == pytest.approx(500, abs=1) and centre[1] == 0


def test_a_click_at_the_start_is_at_time_0_through_the_shortest_window():
    audio = torch.zeros(1, 100)
    audio[0, 0] = 1
    assert temporal_centroid_ms(audio, sample_rate=1000, window=3) >= 0


def test_no_sounds_are_refused(unchecked):
    with pytest.raises(ValueError, match="0 sounds of 600 samples"):
        amplitude_envelope(torch.zeros(0, 600), 64)
