import pytest
import torch

from drumblender.losses import ControlLoss
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
