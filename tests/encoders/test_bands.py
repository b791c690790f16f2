import pytest
import torch

from drumblender.encoders import BandEncoder


def test_gain_changes_nothing(generator):
    encoder, levels_db = BandEncoder(8), -80 * torch.rand(2, 20, 8, generator=generator)
    assert encoder(levels_db).shape == (2, 20, encoder.num_features)
    assert torch.allclose(encoder(levels_db - 30), encoder(levels_db), atol=1e-5)


def test_it_looks_as_far_as_its_kernels_reach(generator):
    levels_db = (-80 * torch.rand(1, 60, 8, generator=generator)).index_fill(1, torch.tensor([59]), 0.0)
    levels_db.requires_grad_()
    BandEncoder(8, num_layers=3, kernel_size=5)(levels_db)[0, 30].sum().backward()
    heard = levels_db.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert heard[heard < 59].min() == 30 - 14 and heard[heard < 59].max() == 30 + 14  # 2 (1 + 2 + 4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="kernel_size=4"):
        BandEncoder(8, kernel_size=4)


def test_another_number_of_levels_is_told_with_the_remedy():
    with pytest.raises(ValueError, match=r"num_levels=64\) got 32 levels a frame: give it num_levels: 32"):
        BandEncoder(64)(torch.zeros(1, 5, 32))
