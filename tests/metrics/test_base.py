import pytest
import torch
from torch import nn

from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.metrics import (
    LogSpectralDistance,
    LossMetric,
    MFCCError,
    OnsetTimeError,
    SpectralFluxOnsetError,
)

SMALL = {"fft_sizes": (256, 512), "hop_sizes": (30, 60), "win_lengths": (150, 300)}
METRICS = {
    "lsd": lambda: LogSpectralDistance(512, 128),
    "mfcc": lambda: MFCCError(16000, 13, 400, 100),
    "flux over frequency": lambda: SpectralFluxOnsetError(256, 64),
    "flux over time": lambda: SpectralFluxOnsetError(256, 64, axis="time"),
    "onset time": lambda: OnsetTimeError(16000),
    "loss": lambda: LossMetric(nn.L1Loss()),
}
each_metric = pytest.mark.parametrize("build", METRICS.values(), ids=METRICS.keys())


@pytest.fixture
def sounds(generator):
    decay = torch.exp(-torch.arange(2000) / 300)
    first, second = (torch.randn(4, 2000, generator=generator) * decay for _ in range(2))
    return [first, torch.nn.functional.pad(second, (500, 0))[:, :2000]]


@each_metric
def test_equal_sounds_are_no_distance_apart(build, sounds):
    assert build()(sounds[0], sounds[0]).item() == 0


@each_metric
def test_the_order_of_the_two_sounds_does_not_matter(build, sounds):
    there, back = build().per_item(*sounds), build().per_item(*reversed(sounds))
    assert torch.allclose(there, back, rtol=1e-5)
    assert there.max() > 0


@each_metric
def test_silence_is_finite(build, sounds):
    silence = torch.zeros_like(sounds[0])
    assert build()(silence, sounds[0]).isfinite()
    assert build()(silence, silence).item() == 0


@each_metric
def test_the_mean_is_over_items_whatever_the_batches(build, sounds):
    metric = build()
    pieces = [tuple(sound[span] for sound in sounds) for span in (slice(0, 3), slice(3, 4))]
    for piece in pieces:
        metric.update(*piece)
    values = torch.cat([build().per_item(*piece) for piece in pieces])
    assert metric.count == 4
    assert metric.compute().item() == pytest.approx(values.mean().item(), rel=1e-5)


@each_metric
def test_a_metric_leaves_nothing_in_checkpoints_and_starts_anew_after_reset(build, sounds):
    metric = build()
    first = metric(*sounds)
    metric.reset()
    assert not metric.state_dict()
    assert metric(*sounds) == first


@each_metric
def test_a_prediction_with_a_graph_is_measured_without(build, sounds):
    metric = build()
    metric.update(sounds[0].requires_grad_(), sounds[1])
    assert not metric.compute().requires_grad


def test_a_loss_over_batches_keeps_their_coupling_and_one_over_items_does_not(sounds):
    prediction, target = sounds[0], sounds[1] * torch.tensor([[1.0], [0.1], [5.0], [1.0]])
    loss = MultiResolutionSTFTLoss(**SMALL)
    alone = torch.stack([loss(prediction[i : i + 1], target[i : i + 1]) for i in range(4)])
    assert LossMetric(loss)(prediction, target).item() == pytest.approx(loss(prediction, target).item())
    assert LossMetric(loss, over="item")(prediction, target).item() == pytest.approx(alone.mean().item())
    assert torch.equal(LossMetric(loss).per_item(prediction, target), alone)
    assert loss(prediction, target).item() != pytest.approx(alone.mean().item(), rel=1e-2)


def test_a_batch_counts_as_often_as_it_has_items(sounds):
    metric = LossMetric(nn.L1Loss())
    for piece in (slice(0, 3), slice(3, 4)):
        metric.update(sounds[0][piece], sounds[1][piece])
    assert metric.compute().item() == pytest.approx((sounds[0] - sounds[1]).abs().mean().item(), rel=1e-5)


def test_wrong_settings_and_empty_batches_are_refused(unchecked):
    with pytest.raises(ValueError, match="'all'"):
        LossMetric(nn.L1Loss(), over="all")
    with pytest.raises(ValueError, match=r"\(0, 1000\)"):
        LogSpectralDistance(256).update(torch.zeros(0, 1000), torch.zeros(0, 1000))


def test_sounds_of_different_length_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"\(1, 900\)"):
        SpectralFluxOnsetError().per_item(torch.zeros(1, 1000), torch.zeros(1, 900))
