"""The loop filter of a string, found again in what the string played."""

import pytest
import torch

from drumblender.dsp import loop_fit
from drumblender.dsp.loop_fit import LoopProducts, _prediction, fit_loop, loop_products
from drumblender.dsp.strings import fractional_delay_taps, karplus_strong
from drumblender.dsp.units import Range

SAMPLES, PLUCK = 20000, 500
WHOLE = Range(0.0, 1.0)


def string(period, loop, generator):
    """A burst of noise in loops ``(batch, samples, taps)``, and where nothing plucks them."""
    pluck = torch.rand(len(loop), PLUCK, generator=generator, dtype=torch.float64) - 0.5
    pluck = torch.nn.functional.pad(pluck, (0, SAMPLES - PLUCK))
    sound = karplus_strong(pluck, period[:, None].expand(-1, SAMPLES), loop, max_delay=600)
    return sound, torch.arange(SAMPLES) >= PLUCK


def found(sound, period, free, loop_order=2, gain=WHOLE, frames=3):
    products = loop_products(sound, period, free, loop_order=loop_order, sections=16)
    return fit_loop(products, frames=frames, gain=gain, loop_order=loop_order)


@pytest.mark.parametrize("loop_order", [1, 2, 3])
def test_a_filter_that_stays_is_found(loop_order, generator):
    """Periods between two delays, and filters that lean to either side; at the end little is left to tell."""
    period = torch.tensor([100.3, 211.8, 37.5], dtype=torch.float64)
    share = torch.rand(3, 1, loop_order + 1, generator=generator, dtype=torch.float64) + 0.2
    loop = 0.996 * share / share.sum(dim=-1, keepdim=True)
    sound, free = string(period, loop.expand(-1, SAMPLES, -1), generator)
    first, *later = found(sound, period, free, loop_order).split(1, dim=1)
    assert torch.allclose(first, loop, atol=0.003)
    assert all(torch.allclose(place, loop, atol=0.02) for place in later)


def test_a_filter_that_moves_is_found_where_it_is(generator):
    period = torch.tensor([400.7], dtype=torch.float64)
    first, last = torch.tensor([0.7, 0.2, 0.098]), torch.tensor([0.3, 0.5, 0.198])
    course = torch.lerp(first, last, torch.linspace(0, 1, SAMPLES, dtype=torch.float64)[:, None].float())
    sound, free = string(period, course.double()[None], generator)
    wanted = torch.stack([first, (first + last) / 2, last])[None].double()
    assert torch.allclose(found(sound, period, free), wanted, atol=0.02)


def test_what_is_predicted_is_what_the_string_plays():
    """The weights around a whole period are the taps of the string, at their lags."""
    logits = torch.randn(4, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    period = torch.tensor([50.0, 123.4, 77.99, 210.5], dtype=torch.float64)
    weights, _ = _prediction(period, logits, WHOLE)
    loop = logits[..., :3].softmax(dim=-1) * logits[..., 3:].sigmoid()
    lag, taps = fractional_delay_taps(period[:, None], loop, max_delay=400)
    expected = torch.zeros(4, 7, dtype=torch.float64)
    for item in range(4):
        first = 1 + 2 + int(lag[item]) - int(period[item])  # after the sound now and two lags before
        expected[item, first : first + 4] = taps[item, 0]
    expected[:, 0] = 1
    assert torch.allclose(weights[:, 0], expected, atol=1e-9)


def test_slopes_are_those_of_autograd():
    logits = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    period = torch.tensor([50.2, 123.4, 77.7], dtype=torch.float64)
    gain = Range(0.9, 1.0)
    _, slope = _prediction(period, logits, gain)
    whole = torch.autograd.functional.jacobian(lambda x: _prediction(period, x, gain)[0], logits)
    for item in range(3):
        for section in range(2):
            assert torch.allclose(slope[item, section], whole[item, section, :, item, section], atol=1e-9)


def test_noise_leaves_it_between_its_bounds(generator):
    period, gain = torch.tensor([100.3], dtype=torch.float64), Range(0.9, 1.0)
    noise = torch.randn(1, SAMPLES, generator=generator)
    loop = found(noise, period, torch.ones(SAMPLES, dtype=torch.bool), gain=gain)
    assert loop.isfinite().all() and (loop > 0).all() and (loop.sum(dim=-1) >= 0.9).all()


def test_silence_says_nothing(generator):
    period = torch.tensor([100.3, 90.0], dtype=torch.float64)
    loop = torch.full((2, SAMPLES, 3), 0.332, dtype=torch.float64)
    sound, free = string(period, loop, generator)
    sound[0] = 0
    silent, heard = found(sound, period, free)
    assert torch.allclose(silent, torch.full_like(silent, 0.998 / 3), atol=1e-6)
    assert torch.allclose(heard, torch.full_like(heard, 0.332), atol=0.01)


@pytest.mark.parametrize("num_samples, sections", [(2000, 150), (700, 500), (4001, 64)])
def test_products_are_those_of_each_section_however_many(num_samples, sections, generator):
    sound = torch.randn(1, num_samples, dtype=torch.float64, generator=generator)
    free = torch.rand(num_samples, generator=generator) > 0.1
    found = loop_products(sound, torch.tensor([50.5]), free, loop_order=1, sections=sections).power[0]
    size, now = -(-num_samples // sections), sound[0] * free
    before = torch.cat([torch.zeros(50), sound[0, :-50]]) * free  # a period ago
    expected = torch.nn.functional.pad(now * before, (0, sections * size - num_samples)).view(sections, size)
    own = torch.nn.functional.pad(now * now, (0, sections * size - num_samples)).view(sections, size).sum(1)
    scaled = expected.sum(dim=1) / (own + own.max() * 1e-9)
    lag = 1 + loop_fit._offsets(1).index(0)
    assert torch.allclose(found[:, 0, lag], scaled, atol=1e-12)


def test_what_cannot_be_is_refused():
    free = torch.ones(100, dtype=torch.bool)
    with pytest.raises(ValueError, match="200 sections"):
        loop_products(torch.zeros(1, 100), torch.tensor([50.0]), free, loop_order=2, sections=200)
    with pytest.raises(ValueError, match="3 coefficients"):
        loop_products(torch.zeros(1, 100), torch.tensor([2.5]), free, loop_order=2, sections=2)
    assert LoopProducts._fields == ("period", "power")
