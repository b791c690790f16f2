import pytest
import torch

from drumblender.encoders import ControlGRU

HEARS = ("f0_hz", "loudness_db", "age_s")


def curves(generator, frames=60, onset=25):
    age_s = 0.01 * torch.arange(frames)[None]
    age_s[:, onset:] -= 0.01 * onset
    age_s[:, onset] = 0.0
    f0_hz = 200 + 100 * torch.rand(1, frames, generator=generator)
    return f0_hz, -20 * torch.rand(1, frames, generator=generator), age_s


def test_a_note_does_not_depend_on_those_before_it(generator):
    given = curves(generator)
    other = [curve.clone() for curve in given]
    other[0][:, :25] = 900.0
    for forgets in (True, False):
        encoder = ControlGRU(8, inputs=HEARS, forgets=forgets)
        one, two = encoder(*given), encoder(*other)
        assert torch.allclose(one[:, 25:], two[:, 25:], atol=1e-6) == forgets
        assert not torch.allclose(one[:, :25], two[:, :25], atol=1e-3)


def test_blocks_forget_where_the_whole_does(generator):
    given, encoder = curves(generator), ControlGRU(8, inputs=HEARS, forgets=True)
    state, parts = None, []
    for block in zip(*(curve.split(7, dim=1) for curve in given), strict=True):
        part, state = encoder.advance(state, *block)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, dim=1), encoder(*given), atol=1e-5)


@pytest.mark.parametrize("settings", [{"inputs": ("f0_hz",)}, {"inputs": HEARS, "num_layers": 2}])
def test_forgetting_takes_the_age_of_a_note_and_one_layer(settings):
    with pytest.raises(ValueError, match="forgets"):
        ControlGRU(8, forgets=True, **settings)
