import pytest
import torch

from drumblender.losses import MultiResolutionSTFTLoss, MultiScaleSpectralLoss, in_blocks

SIZES = {"fft_sizes": (256, 128), "hop_sizes": (64, 30), "win_lengths": (200, 128)}


def sounds(batch=5):
    noise = torch.randn(2, batch, 1200, generator=torch.Generator().manual_seed(0))
    return noise * torch.tensor([[[0.3]], [[1.0]]]) * torch.arange(1, batch + 1)[:, None]


def value_and_slope(loss, prediction, target):
    prediction = prediction.clone().requires_grad_()
    value = loss(prediction, target)
    return value, *torch.autograd.grad(3 * value, prediction)


@pytest.mark.parametrize(
    "loss",
    [
        MultiResolutionSTFTLoss(**SIZES),
        MultiResolutionSTFTLoss(**SIZES, w_lin_mag=0.3, floor="magnitude", convergence="item"),
        MultiResolutionSTFTLoss(**SIZES, w_log_mag=0.5, scale_invariance=True),
        MultiScaleSpectralLoss((256, 64), logmag_weight=0.5),
        MultiScaleSpectralLoss((256, 64), loss_type="L2", frames="padded"),
    ],
)
def test_a_large_batch_is_as_far_in_blocks_as_whole(loss, monkeypatch):
    prediction, target = sounds()
    whole = value_and_slope(loss, prediction, target)
    measured, measure = [], in_blocks._InBlocks.apply
    monkeypatch.setattr(in_blocks, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(in_blocks, "_BLOCK_BYTES", 2 * 90_000)  # two or three sounds
    monkeypatch.setattr(
        in_blocks._InBlocks, "apply", lambda *given: measured.append(given[3]) or measure(*given)
    )
    found = value_and_slope(loss, prediction, target)
    assert all(1 <= size < 5 for size in measured) and measured
    for value, same in zip(found, whole, strict=True):
        assert (value - same).abs().max() < 1e-6 * same.abs().max()
    with torch.no_grad():
        assert loss(prediction, target) == pytest.approx(found[0].item(), rel=1e-6)


def test_a_target_that_is_learned_is_measured_whole(monkeypatch):
    monkeypatch.setattr(in_blocks, "_WHOLE_BYTES", 1000)
    prediction, target = sounds()
    target.requires_grad_()
    MultiScaleSpectralLoss((256,))(prediction, target).backward()
    assert target.grad.abs().max() > 0
