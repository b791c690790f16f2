import pytest
import torch

from drumblender.features import AmpEnvSum, NormSum


@pytest.mark.parametrize("feature", [NormSum(), NormSum(per_example=True), AmpEnvSum(window=64)])
@pytest.mark.parametrize("level", [0.0, 1e-44])
def test_silence_has_a_value_and_a_slope(feature, level):
    silence = torch.full((2, 400), level, requires_grad=True)
    values = feature(silence)
    values.sum().backward()
    assert values.isfinite().all() and silence.grad.isfinite().all()
    if level == 0:
        assert values.tolist() == [0, 0]
