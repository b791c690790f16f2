import pytest
import torch
from torch import nn

from drumblender.losses import MultiResolutionSTFTLoss, WeightedLoss
from drumblender.matching.item_losses import item_losses

SIZES = {"fft_sizes": [64, 129], "hop_sizes": [16, 30], "win_lengths": [64, 100]}
LOSSES = [
    MultiResolutionSTFTLoss(**SIZES),
    MultiResolutionSTFTLoss(**SIZES, floor="magnitude", w_lin_mag=0.5),
    MultiResolutionSTFTLoss(**SIZES, scale_invariance=True),
    MultiResolutionSTFTLoss(**SIZES, perceptual_weighting=True, sample_rate=8000),
    WeightedLoss({"spectra": MultiResolutionSTFTLoss(**SIZES), "wave": nn.L1Loss()}, {"wave": 2.0}),
    nn.MSELoss(),
]


def alone(loss, sounds, target):
    return torch.stack([loss(sound[None], target[None]) for sound in sounds])


@pytest.fixture
def sounds(generator):
    levels = torch.tensor([[1.0], [0.01], [5.0]])
    return torch.randn(3, 400, generator=generator) * levels, torch.randn(400, generator=generator)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_each_loss_and_gradient_is_that_of_the_sound_alone(loss, sounds):
    audio, target = sounds
    together, apart = (audio.clone().requires_grad_() for _ in range(2))
    losses, wanted = item_losses(loss, target)(together), alone(loss, apart, target)
    assert torch.allclose(losses, wanted, rtol=1e-5)
    weights = torch.tensor([1.0, 3.0, -2.0])
    (losses * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert torch.allclose(together.grad, apart.grad, rtol=1e-3, atol=1e-6 * float(apart.grad.abs().max()))


def test_double_precision_takes_the_plain_formula(sounds):
    audio, target = (part.double() for part in sounds)
    loss = LOSSES[0].double()
    assert torch.allclose(item_losses(loss, target)(audio), alone(loss, audio, target), rtol=1e-9)
    loss.float()


def test_a_sound_that_is_not_finite_spoils_no_other(sounds):
    audio, target = sounds
    loss = MultiResolutionSTFTLoss(**SIZES)
    spoilt = audio.clone()
    spoilt[1, 7] = torch.nan
    spoilt.requires_grad_()
    losses = item_losses(loss, target)(spoilt)
    assert losses.isfinite().tolist() == [True, False, True]
    assert torch.equal(losses[[0, 2]], item_losses(loss, target)(audio)[[0, 2]])
    losses[[0, 2]].sum().backward()
    assert spoilt.grad[[0, 2]].isfinite().all()


def test_the_target_itself_is_at_no_distance(sounds):
    audio, target = sounds
    same = target[None].clone().requires_grad_()
    loss = item_losses(MultiResolutionSTFTLoss(**SIZES), target)(same)
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert same.grad.isfinite().all()
