import pytest
import torch

from drumblender.metrics import FeatureError, RankCorrelation, Slope


def test_error_over_two_updates_is_the_published_one(golden):
    numbers = golden("remap", "metric_feature_error")
    metric = FeatureError()
    metric.update(numbers["in_diff"][:5], numbers["in_target"][:5])
    metric.update(numbers["in_diff"][5:], numbers["in_target"][5:])
    numbers.check("out_value", metric.compute())


def test_every_example_counts_alike():
    metric = FeatureError()
    metric.update(torch.tensor([1.0, -1.0, 1.0]), torch.zeros(3))
    metric.update(torch.tensor([5.0]), torch.zeros(1))
    assert metric.compute() == 2


def test_rank_and_slope_tell_how_a_feature_moves():
    target = torch.tensor([0.0, 1.0, 2.0, 3.0])
    for prediction, rho, slope in ((0.5 * target, 1, 0.5), (-target, -1, -1), (target**3, 1, 8.8)):
        rank, steepness = RankCorrelation(), Slope()
        for part in (slice(0, 2), slice(2, 4)):  # over all batches, not in each
            rank.update(prediction[part], target[part])
            steepness.update(prediction[part], target[part])
        assert rank.compute().item() == pytest.approx(rho)
        assert steepness.compute().item() == pytest.approx(slope)


def test_what_does_not_move_has_no_rank():
    rank = RankCorrelation()
    rank.update(torch.ones(4), torch.arange(4.0))
    assert rank.compute().isnan()
