import pytest
import torch

from drumblender.dsp.noise import noise_burst


def test_a_burst_is_short_and_of_peak_one(generator):
    burst = noise_burst(16000, 0.1, 0.025, normalize=True, batch_size=3, generator=generator)
    assert burst.shape == (3, 1600) and (burst[:, 400:] == 0).all()
    assert torch.allclose(burst.abs().amax(dim=1), torch.ones(3))
    assert burst.sum(dim=1).abs().max() < 1e-3


def test_over_the_batch_only_one_item_reaches_the_peak(generator):
    burst = noise_burst(16000, 0.1, 0.025, normalize=True, per_item=False, batch_size=3, generator=generator)
    assert (burst.abs().amax(dim=1) == 1).sum() == 1


@pytest.mark.parametrize("width", [0.0, 0.2])
def test_a_burst_that_does_not_fit_is_refused(width):
    with pytest.raises(ValueError, match="does not fit"):
        noise_burst(16000, 0.1, width)


def test_golden_burst(golden):
    numbers = golden("strings", "noise_burst")
    call = dict(numbers.config["call"])
    size = call.pop("sample_rate"), call.pop("length_s"), call.pop("burst_width_s")
    for normalize, name in ((True, "out_normalized"), (False, "out_raw")):
        burst = noise_burst(*size, normalize=normalize, per_item=False, uniform=numbers["in_uniform"])
        numbers.check(name, burst)
