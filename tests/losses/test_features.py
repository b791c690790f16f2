import pytest
import torch
from torch import nn

from drumblender.losses import FeatureDifferenceLoss


@pytest.mark.parametrize("name", ["loss_feature_difference", "loss_feature_difference_weighted"])
def test_loss_and_gradient_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    features = numbers["in_y_pred"].requires_grad_()
    weight = {"weight": numbers["in_weight"]} if "in_weight" in numbers else {}
    loss = FeatureDifferenceLoss()(features, numbers["in_y_true"], numbers["in_target_diff"], **weight)
    numbers.check("out_loss", loss)
    loss.backward()
    numbers.check("grad_y_pred", features.grad)


def test_the_inner_distance_is_the_one_that_is_given(generator):
    features, reference, difference = torch.randn(3, 4, 5, generator=generator)
    error = features - reference - difference
    weight = torch.rand(5, generator=generator)
    inner = nn.MSELoss()
    loss = FeatureDifferenceLoss(inner)(features, reference, difference, weight)
    assert loss.item() == pytest.approx((error.square() * weight).mean().item(), rel=1e-6)
    assert inner.reduction == "mean"  # the caller's is left alone


def test_a_distance_that_cannot_be_weighted_is_refused():
    with pytest.raises(ValueError, match="CosineSimilarity has no reduction"):
        FeatureDifferenceLoss(nn.CosineSimilarity())
