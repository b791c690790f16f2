import pytest
import torch

from drumblender.encoders import ControlGRU, ControlTransformer

FIELDS = ("f0_hz", "loudness_db", "age_s", "peak_db", "brightness_hz", "periodicity")


def curves(frames=90, batch=2, count=2):
    generator = torch.Generator().manual_seed(1)
    made = [
        200 + 50 * torch.rand(batch, frames, generator=generator),
        -40 + 30 * torch.rand(batch, frames, generator=generator),
        *torch.rand(4, batch, frames, generator=generator),
    ]
    return made[:count]


def both(**settings):
    torch.manual_seed(0)
    return [
        ControlGRU(16, num_layers=2, **settings).eval(),
        ControlTransformer(16, context_frames=20, **settings).eval(),
    ]


@pytest.mark.parametrize("encoder", both(), ids=["gru", "transformer"])
@pytest.mark.parametrize("block", [1, 7, 40])
def test_blocks_of_any_size_give_what_the_whole_gives(encoder, block):
    state, parts = None, []
    whole = encoder(*curves())
    for start in range(0, 90, block):
        part, state = encoder.advance(state, *(curve[:, start : start + block] for curve in curves()))
        parts.append(part)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


@pytest.mark.parametrize("encoder", both(), ids=["gru", "transformer"])
def test_no_frame_hears_a_later_one(encoder):
    f0_hz, loudness_db = curves()
    louder = loudness_db.clone()
    louder[:, 50:] += 20
    before, after = encoder(f0_hz, loudness_db), encoder(f0_hz, louder)
    assert torch.equal(before[:, :50], after[:, :50]) or torch.allclose(
        before[:, :50], after[:, :50], atol=1e-6
    )
    assert (before[:, 50] - after[:, 50]).abs().max() > 1e-3


def test_the_transformer_forgets_what_its_blocks_cannot_reach():
    encoder = both()[1]
    f0_hz, loudness_db = curves()
    changed = loudness_db.clone()
    changed[:, 0] += 30
    difference = (encoder(f0_hz, loudness_db) - encoder(f0_hz, changed)).abs().amax(dim=(0, 2))
    assert difference[1:38].max() > 1e-5
    assert difference[39:].max() < 1e-6  # two blocks of 20 frames reach 38 back


@pytest.mark.parametrize("encoder", both(inputs=FIELDS), ids=["gru", "transformer"])
def test_hears_more_curves_where_told_to(encoder):
    assert encoder.hears == FIELDS
    assert encoder(*curves(count=6)).shape == (2, 90, 16)


def test_wrong_calls_are_refused(unchecked):
    with pytest.raises(ValueError, match="velocity"):
        ControlGRU(inputs=("f0_hz", "velocity"))
    with pytest.raises(ValueError, match="for each of"):
        ControlGRU(8)(curves()[0])
    with pytest.raises(ValueError, match="num_heads=3"):
        ControlTransformer(16, num_heads=3)
