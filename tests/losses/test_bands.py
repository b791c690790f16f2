import pytest
import torch

from drumblender.losses import BandLoss


def test_a_sound_is_at_no_distance_from_itself_and_has_a_gradient_there(generator):
    sound = torch.randn(2, 9600, generator=generator)
    prediction = sound.clone().requires_grad_()
    loss = BandLoss(48000)(prediction, sound)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and prediction.grad.isfinite().all()


def test_two_draws_of_noise_are_nearer_than_noise_of_another_colour(generator):
    target, other = torch.randn(2, 1, 48000, generator=generator)
    dull = torch.nn.functional.avg_pool1d(other[None], 5, 1, 2, count_include_pad=False)[0]
    loss = BandLoss(48000)
    assert loss(other, target) < 0.5 * loss(dull * other.std() / dull.std(), target)


def test_twice_the_level_costs_its_logarithm(generator):
    sound = torch.randn(1, 48000, generator=generator)
    assert BandLoss(48000, w_sc=0)(2 * sound, sound).item() == pytest.approx(0.6931, rel=1e-3)
    assert BandLoss(48000, w_log=0)(2 * sound, sound).item() == pytest.approx(1, rel=1e-3)


def test_what_lies_below_the_floor_of_both_does_not_count(generator):
    sound = torch.randn(1, 48000, generator=generator)
    sound[:, 24000:] = 0
    faint = sound.clone()
    faint[:, 26000:] += 1e-4 * torch.randn(1, 22000, generator=generator)
    assert BandLoss(48000)(faint, sound) < 1e-3


def test_silence_is_finite(generator):
    silence, sound = torch.zeros(1, 4800), torch.randn(1, 4800, generator=generator)
    for prediction, target in ((silence, sound), (sound, silence), (silence, silence)):
        prediction = prediction.clone().requires_grad_()
        loss = BandLoss(48000)(prediction, target)
        loss.backward()
        assert loss.isfinite() and prediction.grad.isfinite().all()


def test_what_does_not_fit_is_refused(unchecked):
    with pytest.raises(ValueError, match="equal lists"):
        BandLoss(48000, fft_sizes=(512,))
    with pytest.raises(ValueError, match="below 0 dB"):
        BandLoss(48000, floor_db=0)
    with pytest.raises(ValueError, match="Shapes differ"):
        BandLoss(48000)(torch.zeros(1, 4800), torch.zeros(1, 4801))
