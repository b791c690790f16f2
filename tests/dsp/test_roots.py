import math

import pytest
import torch

from drumblender.dsp.roots import safe_root


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_a_root_has_no_slope_at_nothing(p):
    value = torch.tensor([0.0, -1e-9, 4.0, math.inf], dtype=torch.float64, requires_grad=True)
    root = safe_root(value, p)
    (slope,) = torch.autograd.grad(root.sum(), value)
    assert root.tolist() == [0, 0, pytest.approx(4 ** (1 / p)), math.inf]
    assert slope[:3].tolist() == [0, 0, pytest.approx(4 ** (1 / p - 1) / p)]


def test_what_is_no_number_stays_so():
    assert safe_root(torch.tensor([math.nan])).isnan().all()
