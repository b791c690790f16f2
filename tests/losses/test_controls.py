import numpy as np
import pytest
import torch

from drumblender.losses import ControlLoss, MeanDifference
from drumblender.losses.calling import call_loss


def test_sums_the_mean_distance_of_each_control():
    target = {"loop": torch.zeros(2, 3, 4), "gain": torch.zeros(2, 3, 1)}
    found = {"loop": torch.full((2, 3, 4), 0.5), "gain": torch.full((2, 3, 1), -1.0), "more": torch.ones(1)}
    assert ControlLoss()(found, target) == 1.5
    assert ControlLoss(["gain"])(found, target) == 1


def test_what_cannot_be_compared_is_named():
    target = {"loop": torch.zeros(2, 3, 4)}
    with pytest.raises(ValueError, match="'loop' is None predicted"):
        ControlLoss()({}, target)
    with pytest.raises(ValueError, match=r"\(2, 3, 1\) predicted and \(2, 3, 4\)"):
        ControlLoss()({"loop": torch.zeros(2, 3, 1)}, target)
    with pytest.raises(ValueError, match="no controls"):
        ControlLoss()({}, {})


def test_sounds_are_refused_with_what_to_take_instead():
    with pytest.raises(ValueError, match=r"compares controls .* such as cfg/losses/mrstft.yaml"):
        call_loss(ControlLoss(), torch.zeros(2, 100), torch.zeros(2, 100))


def test_mean_difference_is_the_published_one(golden):
    case = golden("pitch", "mean_difference_l1_sort")
    loss = MeanDifference(**case.config["init"], **case.config["call"])
    case.check("out_loss", loss(case["in_x"], case["in_y"]))
    case = golden("pitch", "mean_difference_l2_weights_dims")
    loss = MeanDifference(**case.config["init"])
    dims = case.config["call"]["dims"]
    case.check("out_loss", loss(case["in_x"], case["in_y"], case["in_weights"], dims))


@pytest.mark.parametrize("loss_type", ["L1", "L2"])
@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("dims", [None, 0, (0, 2), -1])
def test_mean_difference_by_its_formula(generator, loss_type, sort, dims):
    x, y, weights = torch.randn(3, 4, 5, 6, generator=generator, dtype=torch.float64)
    first, second = (np.sort(side, axis=-1) if sort else side.numpy() for side in (x, y))
    difference = np.abs(first - second) if loss_type == "L1" else (first - second) ** 2
    for weight in (None, weights):
        expected = (difference * (1 if weight is None else weight.numpy())).mean(axis=dims)
        found = MeanDifference(loss_type, sort)(x, y, weight, dims)
        torch.testing.assert_close(found, torch.as_tensor(expected))


def test_mean_difference_refuses(unchecked):
    with pytest.raises(ValueError, match="'L3'"):
        MeanDifference("L3")
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 1\)"):
        MeanDifference()(torch.zeros(2, 3), torch.zeros(2, 1))
