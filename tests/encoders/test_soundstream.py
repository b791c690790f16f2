import pytest
import torch
from golden_nets import check, load

from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.synths.transient import TransientTCN


@pytest.mark.parametrize("case", ["Encoder_noise_like", "Encoder_causal", "Encoder_defaults", "Encoder_film"])
def test_matches_the_original(golden, case):
    numbers = golden("drums", f"SoundStream{case}")
    settings = numbers.config["init"]
    transposed = settings.pop("transpose_output", False)
    encoder = load(SoundStreamEncoder(**settings), numbers)
    y, inputs = encode(encoder, numbers)
    check(numbers, encoder, y if transposed else y.transpose(1, 2), "y", inputs)


@pytest.mark.parametrize("case", ["pub", "causal"])
def test_matches_the_original_pooled(golden, case):
    numbers = golden("drums", f"SoundStreamAttentionEncoder_{case}")
    encoder = load(SoundStreamAttentionEncoder(**numbers.config["init"]), numbers)
    y, inputs = encode(encoder, numbers)
    assert y.shape[1] == 1
    check(numbers, encoder, y[:, 0], "y", inputs)


def encode(encoder, numbers):
    inputs = {
        name: value.requires_grad_() for name, value in numbers.inputs().items() if not name.startswith("ct_")
    }
    audio = inputs["x"][:, 0] if inputs["x"].shape[1] == 1 else inputs["x"]
    return encoder(audio, inputs.get("film_embedding")), inputs


def test_a_seed_gives_the_weights_of_the_original(golden):
    numbers = golden("drums", "initial_weights_published")
    sizes = numbers.config["soundstream"]
    torch.manual_seed(numbers.config["seed"])
    parts = {
        "transient_synth": TransientTCN(**numbers.config["tcn"]),
        "noise_autoencoder": SoundStreamEncoder(**sizes),
        "transient_autoencoder": SoundStreamAttentionEncoder(**sizes),
    }
    numbers.check("out_next_rand", torch.rand(1))
    state = {f"{part}.{key}": v for part, module in parts.items() for key, v in module.state_dict().items()}
    assert list(state) == [str(key) for key in numbers["out_key"]]
    numbers.check("out_sum", torch.stack([value.double().sum() for value in state.values()]))
    numbers.check("out_first", torch.stack([value.flatten()[0] for value in state.values()]))


def small(**changes):
    torch.manual_seed(0)
    return SoundStreamEncoder(2, 3, **{"strides": (2, 3), **changes}).eval()


def test_a_causal_encoder_never_hears_the_future(generator):
    audio = torch.randn(2, 600, generator=generator)
    changed = audio.clone()
    changed[:, 301:] += 1  # frame 50 ends with sample 300
    before, after = small(causal=True)(audio), small(causal=True)(changed)
    assert torch.equal(before[:, :51], after[:, :51])
    assert not torch.equal(before[:, 51:], after[:, 51:])


def test_other_encoders_hear_both_sides(generator):
    audio = torch.randn(1, 600, generator=generator, requires_grad=True)
    small()(audio)[0, 50].sum().backward()
    heard = audio.grad[0].nonzero().flatten()
    assert heard[0] < 300 < heard[-1]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_samples", [6, 7, 64, 95, 601])
def test_makes_the_frames_it_promises(causal, num_samples):
    encoder = small(causal=causal)
    frames = num_samples
    for stride in (2, 3):
        frames = -(-frames // stride) if causal else (frames - 2) // stride + 1
    assert encoder(torch.zeros(2, num_samples)).shape == (2, frames, 3)
    assert encoder.num_frames(num_samples) == frames


def test_two_seconds_become_750_frames():
    assert SoundStreamEncoder(1, 1, strides=(2, 2, 4, 8)).num_frames(96000) == 750


@pytest.mark.parametrize("num_samples", [0, 1, 2, 3])
def test_refuses_sound_shorter_than_a_frame(num_samples):
    with pytest.raises(ValueError, match=f"{num_samples} samples is too short"):
        small()(torch.zeros(1, num_samples))


def test_refuses_the_wrong_number_of_channels():
    with pytest.raises(ValueError, match="input_channels=1, got sound of 2"):
        small()(torch.zeros(1, 2, 100))


@pytest.mark.parametrize("conditioned", [False, True])
def test_the_embedding_must_fit_the_encoder(conditioned):
    encoder = small(film_conditioning=conditioned, film_embedding_size=4)
    with pytest.raises(ValueError, match="film_embedding"):
        encoder(torch.zeros(1, 100), None if conditioned else torch.zeros(1, 4))


@pytest.mark.parametrize("settings", [{"strides": (2, 0)}, {"kernel_size": 4}, {"input_channels": 0}])
def test_refuses_sizes_without_sense(settings):
    with pytest.raises(ValueError):
        small(**settings)


@pytest.mark.parametrize("kind, tolerance", [(SoundStreamEncoder, 0.03), (SoundStreamAttentionEncoder, 0.2)])
def test_autocast_stays_close_and_weights_get_float32_gradients(kind, tolerance, generator):
    torch.manual_seed(0)
    encoder = kind(4, 3, strides=(2, 3))
    audio = torch.randn(2, 700, generator=generator)
    expected = encoder(audio)
    wanted = torch.autograd.grad(expected.square().sum(), encoder.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = encoder(audio)
    assert features.dtype == torch.bfloat16
    assert (features - expected).abs().max() < 0.05 * expected.abs().max()
    features.float().square().sum().backward()
    for parameter, gradient in zip(encoder.parameters(), wanted, strict=True):
        assert parameter.grad.dtype == torch.float32
        assert (parameter.grad - gradient).norm() <= tolerance * gradient.norm() + 1e-3
