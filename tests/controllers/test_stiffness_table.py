import pytest
import torch

from drumblender.controllers import StiffnessTable


def test_a_fluke_does_not_count_and_what_is_unsure_neither():
    table = StiffnessTable()
    table.learn(torch.full((6,), 440.0), torch.tensor([1e-4, 1e-4, 1e-4, 9e-4, 0.0, 0.0]))
    assert table(torch.tensor([440.0])).item() == pytest.approx(1e-4)


def test_strings_keep_what_is_theirs():
    table = StiffnessTable()
    table.learn(torch.tensor([329.63, 349.23]), torch.tensor([1.2e-4, 3e-5]))
    found = table(torch.tensor([60.0, 329.63, 349.23, 2000.0]))
    assert torch.allclose(found, torch.tensor([1.2e-4, 1.2e-4, 3e-5, 3e-5]), rtol=1e-2)
    assert 3e-5 < table(torch.tensor([339.0])).item() < 1.2e-4


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="No stiffness is known"):
        StiffnessTable().learn(torch.tensor([220.0]), torch.zeros(1))
