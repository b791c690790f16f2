import pytest
import torch

from drumblender.metrics import FeatureError


def test_error_over_two_updates_is_the_published_one(golden):
    numbers = golden("remap", "metric_feature_error")
    metric = FeatureError()
    metric.update(numbers["in_diff"][:5], numbers["in_target"][:5])
    metric.update(numbers["in_diff"][5:], numbers["in_target"][5:])
    assert metric.compute().item() == pytest.approx(numbers["out_value"].item(), rel=1e-6)


def test_every_example_counts_alike():
    metric = FeatureError()
    metric.update(torch.tensor([1.0, -1.0, 1.0]), torch.zeros(3))
    metric.update(torch.tensor([5.0]), torch.zeros(1))
    assert metric.compute() == 2
