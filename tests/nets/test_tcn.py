from unittest.mock import patch

import pytest
import torch

from drumblender.nets import TCN, AttentionPooling, FiLM, GatedActivation, TFiLM, tcn
from drumblender.nets.cpu import tiling


def net(**changes):
    torch.manual_seed(0)
    settings = {"num_layers": 3, "kernel_size": 5, "film_conditioning": True, "film_embedding_size": 6}
    return TCN(1, 4, 2, **(settings | changes))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("changes", [{}, {"film_batch_norm": False}, {"causal": False}])
def test_one_pass_equals_layer_after_layer(monkeypatch, generator, training, changes):
    monkeypatch.setattr(tiling, "_TILE_NUMBERS", 1)
    embedding = torch.randn(3, 6, generator=generator)
    sound = torch.randn(3, 1, 600, generator=generator)
    results = []
    for plain in (False, True):
        model = net(**changes).train(training)
        x, e = sound.clone().requires_grad_(), embedding.clone().requires_grad_()
        with patch.object(tcn, "tiled", lambda x, plain=plain: not plain):
            y = model(x, e)
        y.square().sum().backward()
        results.append([y, x.grad, e.grad, *(p.grad for p in model.parameters()), *model.buffers()])
    largest = max(value.abs().max() for value in results[1])
    for ours, theirs in zip(*results, strict=True):  # a bias before batch norm has no gradient but noise
        assert (ours - theirs).abs().max() <= 2e-5 * theirs.abs().max().clamp(min=0.01 * largest)


@pytest.mark.parametrize("film_batch_norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_one_pass_equals_the_layers_in_double(generator, training, film_batch_norm):
    model = net(film_batch_norm=film_batch_norm).train(training)
    sound = torch.randn(3, 1, 601, generator=generator) + 2  # a mean far from 0, which batch norm takes out
    embedding = torch.randn(3, 6, generator=generator)
    results = []
    for dtype in (torch.float32, torch.float64):
        model = model.to(dtype)
        x, e = sound.to(dtype).requires_grad_(), embedding.to(dtype).requires_grad_()
        y = model(x, e)
        results.append([y, *torch.autograd.grad(y.square().sum(), (x, e, *model.parameters()))])
    largest = max(value.abs().max() for value in results[1])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max().clamp(min=0.01 * largest)


def test_a_norm_of_a_group_of_processes_is_not_taken_for_a_local_one(generator):
    """The loops know the moments of this process only, and would not ask the others."""
    model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(net()).train()
    sound, embedding = torch.randn(3, 1, 600, generator=generator), torch.randn(3, 6, generator=generator)
    with patch.object(torch.nn.SyncBatchNorm, "forward", autospec=True, side_effect=lambda _, x: x) as asked:
        model(sound, embedding)
    assert asked.call_count == len(model.net) == 3


@pytest.mark.parametrize("film_batch_norm", [False, True])
def test_one_embedding_serves_all_sounds_and_another_number_is_refused(unchecked, generator, film_batch_norm):
    model = net(film_batch_norm=film_batch_norm)
    sound = torch.randn(3, 1, 40, generator=generator)
    embedding = torch.randn(1, 6, generator=generator)
    assert torch.equal(model(sound, embedding), model(sound, embedding.expand(3, -1)))
    with pytest.raises(ValueError, match="3 sounds take as many embeddings or one, got 2"):
        model(sound, embedding.expand(2, -1))


@pytest.mark.parametrize("activation", ["GELU", "gated"])
def test_a_bias_that_batch_norm_takes_out_does_not_move(generator, activation):
    model = net(activation=activation)
    y = model(torch.randn(2, 1, 40, generator=generator), torch.randn(2, 6, generator=generator))
    y.square().sum().backward()
    assert all((block.net[1].bias.grad == 0).all() and block.net[1].weight.grad.any() for block in model.net)


def test_film_with_gain_one_and_nothing_added_only_normalises(generator):
    x = torch.randn(4, 3, 50, generator=generator) * 5 + 2
    for use_batch_norm in (False, True):
        film = FiLM(2, 3, use_batch_norm)
        with torch.no_grad():
            film.net.weight.zero_()
            film.net.bias.copy_(torch.tensor([1.0, 1, 1, 0, 0, 0]))
        y = film(x, torch.randn(4, 2, generator=generator))
        if not use_batch_norm:
            assert torch.equal(y, x)
        else:
            assert torch.allclose(y.mean(dim=(0, 2)), torch.zeros(3), atol=1e-5)
            assert torch.allclose(y.var(dim=(0, 2), unbiased=False), torch.ones(3), atol=1e-4)


def test_a_zero_query_takes_the_mean_of_the_normalised_frames(generator):
    torch.manual_seed(0)
    pooling = AttentionPooling(4)
    x = torch.randn(2, 4, 9, generator=generator)
    mean = pooling.norm(x.transpose(1, 2)).mean(dim=1)
    value = pooling.attn.in_proj_weight[8:]
    expected = mean @ value.T @ pooling.attn.out_proj.weight.T
    assert torch.allclose(pooling(x), expected, atol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"film_conditioning": False, "activation": "gated", "norm": None}])
def test_never_hears_the_future(generator, changes):
    model = net(**changes).eval()
    embedding = torch.ones(1, 6) if model.film_conditioning else None
    x = torch.randn(1, 1, 300, generator=generator)
    changed = x.clone()
    changed[..., 200:] += 1
    assert torch.equal(model(x, embedding)[..., :200], model(changed, embedding)[..., :200])


def test_hears_as_far_back_as_it_says(generator):
    model = net(dilation_blocks=2)
    x = torch.randn(1, 1, 300, generator=generator, requires_grad=True)
    model.eval()(x, torch.ones(1, 6))[0, 0, 299].backward()
    assert model.receptive_field_frames == 1 + 4 * (1 + 2 + 1)
    assert 300 - x.grad[0, 0].nonzero().min() == model.receptive_field_frames


def test_batch_statistics_stay_float32_under_autocast(generator):
    model = net()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(torch.randn(2, 1, 500, generator=generator), torch.randn(2, 6, generator=generator))
    assert y.dtype == torch.bfloat16
    norm = model.net[0].film.norm
    assert norm.running_mean.dtype == torch.float32 and norm.num_batches_tracked == 1
    y.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in model.parameters())


def test_evaluation_leaves_the_statistics_alone(generator):
    model = net().eval()
    before = [buffer.clone() for buffer in model.buffers()]
    model(torch.randn(2, 1, 500, generator=generator), torch.randn(2, 6, generator=generator))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"norm": "layer"}, "norm must be"),
        ({"film_embedding_size": None}, "film_embedding_size"),
        ({"film_embedding_size": 0}, "film_embedding_size"),
        ({"use_temporal_film": True}, "temporal_film_block_size"),
        ({"activation": "Loud"}, "activation must be"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"kernel_size": 4, "causal": False}, "kernel_size=4"),
    ],
)
def test_refuses_settings_without_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        net(**changes)


@pytest.mark.parametrize("shape, embedding", [((1, 1, 9), None), ((1, 1, 9), (1, 5)), ((1, 2, 9), (1, 6))])
def test_refuses_what_it_was_not_built_for(shape, embedding):
    with pytest.raises(ValueError):
        net().eval()(torch.zeros(shape), None if embedding is None else torch.zeros(embedding))


def test_batch_norm_does_not_learn_from_one_frame():
    with pytest.raises(ValueError, match="more than 1"):
        net()(torch.zeros(1, 1, 1), torch.zeros(1, 6))


@pytest.mark.parametrize("num_frames", [0, 5, 13])
def test_temporal_film_needs_whole_blocks(num_frames):
    with pytest.raises(ValueError, match="block_size=6"):
        TFiLM(2, 6)(torch.zeros(1, 2, num_frames))


def test_a_gate_needs_pairs_of_channels():
    with pytest.raises(ValueError, match="3"):
        GatedActivation()(torch.zeros(1, 3, 4))
