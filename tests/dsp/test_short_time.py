import pytest
import torch

from drumblender.dsp.short_time import named_window, short_time_magnitudes


def test_a_window_made_without_gradients_serves_a_training():
    with torch.inference_mode():
        window = named_window("hann", 61)  # of a length that nothing else asked for
    audio = torch.ones(1, 200, dtype=torch.float64, requires_grad=True)
    short_time_magnitudes(audio, 61, 16, window).sum().backward()
    assert audio.grad.isfinite().all()


def test_a_window_that_changes_is_heard_anew(generator):
    audio, window = torch.randn(1, 256, generator=generator), torch.hann_window(64, dtype=torch.float64)
    before = short_time_magnitudes(audio, 64, 16, window)
    window.mul_(2)
    assert torch.equal(short_time_magnitudes(audio, 64, 16, window), 2 * before)


def test_no_sounds_are_refused(unchecked):
    with pytest.raises(ValueError, match="0 sounds of 300 samples"):
        short_time_magnitudes(torch.zeros(0, 300), 64, 16, torch.hann_window(64))
