import pytest
import torch
from golden_nets import check, load

from drumblender.synths.transient import TransientTCN


@pytest.mark.parametrize("case", ["eval", "train", "nofilm", "cond"])
def test_matches_the_original(golden, case):
    numbers = golden("drums", f"TransientTCN_{case}")
    synth = load(TransientTCN(**numbers.config["init"]), numbers)
    inputs = {
        name: value.requires_grad_() for name, value in numbers.inputs().items() if not name.startswith("ct_")
    }
    source = inputs["x"][:, 0]
    controls = {"embedding": inputs["embedding"][:, None]} if "embedding" in inputs else {}
    audio = synth(controls, source.shape[-1], source=source)
    check(numbers, synth, audio[:, None], "audio", inputs)


def play(synth, source, **changes):
    size = synth.control_sizes.get("embedding")
    controls = {"embedding": torch.linspace(-1, 1, size).expand(len(source), 1, size)} if size else {}
    return synth(controls | changes, source.shape[-1], source=source)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return TransientTCN(hidden_channels=4, num_layers=3, film_conditioning=True, film_embedding_size=6).eval()


def test_hears_3061_samples_with_the_published_layers():
    torch.manual_seed(0)
    synth = TransientTCN(hidden_channels=2)
    source = torch.randn(1, 4000, requires_grad=True)
    play(synth, source)[0, 3999].backward()
    heard = source.grad[0].nonzero().flatten()
    assert (heard[0], heard[-1]) == (3999 - 3060, 3999)
    assert synth.tcn.receptive_field_frames == 3061


def test_never_hears_the_future(small, generator):
    source = torch.randn(2, 700, generator=generator)
    changed = source.clone()
    changed[:, 400:] += 1
    before, after = play(small, source), play(small, changed)
    assert torch.equal(before[:, :400], after[:, :400])
    assert not torch.equal(before[:, 400:], after[:, 400:])


def test_each_sound_of_a_batch_hears_the_learned_signal_from_its_start(generator):
    torch.manual_seed(0)
    synth = TransientTCN(
        in_channels=3,
        hidden_channels=4,
        num_layers=2,
        transient_conditioning=True,
        transient_conditioning_channels=2,
        transient_conditioning_length=50,
    )
    source = torch.randn(3, 200, generator=generator)
    together = play(synth, source)
    alone = torch.cat([play(synth, sound[None]) for sound in source])
    assert torch.allclose(together, alone, atol=1e-6)
    with torch.no_grad():
        synth.transient_conditioning += 1
    moved = (play(synth, source) - together).abs().amax(dim=0) > 1e-6
    assert moved[:50].all() and not moved[50 + synth.tcn.receptive_field_frames :].any()


def test_needs_a_source(small):
    with pytest.raises(ValueError, match="source"):
        small({"embedding": torch.ones(1, 1, 6)}, 10)
    with pytest.raises(ValueError, match="source of 10 samples, got 9"):
        small({"embedding": torch.ones(1, 1, 6)}, 10, source=torch.ones(1, 9))


@pytest.mark.parametrize(
    "controls", [{}, {"embedding": torch.ones(1, 2, 6)}, {"embedding": torch.ones(1, 1, 5)}]
)
def test_needs_one_frame_of_the_embedding(small, controls):
    with pytest.raises(ValueError, match="embedding"):
        small(controls, 10, source=torch.ones(1, 10))


@pytest.mark.parametrize(
    "settings", [{"in_channels": 2}, {"out_channels": 2}, {"transient_conditioning": True}]
)
def test_refuses_channels_that_do_not_add_up(settings):
    with pytest.raises(ValueError, match="in_channels"):
        TransientTCN(**settings)


def test_refuses_film_without_a_size():
    with pytest.raises(ValueError, match="film_embedding_size"):
        TransientTCN(film_conditioning=True)
