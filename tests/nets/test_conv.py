import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from drumblender.nets import soundstream
from drumblender.nets.conv import Pad, PaddedConv, conv1d
from drumblender.nets.cpu import tiling

# stride, dilation, left, right, taps, frames: paddings of every kind, lengths around the ends of tiles
SHAPES = [
    (1, 1, 0, 0, 1, 300),
    (1, 1, 6, 0, 7, 256),
    (1, 1, 6, 0, 7, 1),
    (1, 9, 27, 27, 7, 700),
    (1, 32, 64, 0, 3, 517),
    (1, 128, 1536, 0, 13, 300),
    (1, 40, 0, 80, 3, 257),
    (2, 1, 1, 1, 4, 515),
    (8, 1, 15, 0, 16, 2100),
    (3, 1, 2, 2, 6, 2),
    (2, 1, 0, 0, 3, 68),
    (5, 1, 3, 1, 2, 131),
    (2, 3, 3, 1, 3, 90),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """The shortest tiles there are, so that short sounds cross their borders."""
    monkeypatch.setattr(tiling, "_TILE_NUMBERS", 1)


def reference(x, weight, bias, stride, dilation, left, right):
    return F.conv1d(F.pad(x, (left, right)), weight, bias, stride=stride, dilation=dilation)


@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize("stride, dilation, left, right, taps, frames", SHAPES)
def test_tiles_meet_without_a_seam(generator, stride, dilation, left, right, taps, frames, elu):
    x, weight, bias = (
        torch.randn(*shape, generator=generator, requires_grad=True)
        for shape in ((2, 3, frames), (4, 3, taps), (4,))
    )
    y = conv1d(x, weight, bias, stride=stride, dilation=dilation, padding=(left, right), elu=elu)
    expected = reference(x, weight, bias, stride, dilation, left, right)
    expected = F.elu(expected) if elu else expected
    assert torch.allclose(y, expected, atol=1e-5)
    direction = torch.randn(y.shape, generator=generator)
    ours = torch.autograd.grad((y * direction).sum(), (x, weight, bias))
    theirs = torch.autograd.grad((expected * direction).sum(), (x, weight, bias))
    for gradient, wanted in zip(ours, theirs, strict=True):
        assert (gradient - wanted).abs().max() < 1e-5 * wanted.abs().max().clamp(min=1)


@pytest.mark.parametrize("channels", [1, 3, 4, 9])
@pytest.mark.parametrize("causal", [False, True])
def test_a_residual_unit_equals_its_layers_in_double(generator, channels, causal):
    torch.manual_seed(0)
    unit = soundstream.SoundStreamUnit(channels, 7, 3, causal=causal, film=None)
    x = torch.randn(3, channels, 301, generator=generator)
    direction = torch.randn(x.shape, generator=generator)
    results = []
    for dtype in (torch.float32, torch.float64):  # double precision takes the plain formula
        model, sound = unit.to(dtype), x.to(dtype).requires_grad_()
        y = model(sound)
        results.append([y, *torch.autograd.grad((y * direction).sum(), (sound, *model.parameters()))])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() < 3e-6 * theirs.abs().max()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_share_the_tiles(generator, threads):
    x = torch.randn(2, 3, 200, generator=generator, requires_grad=True)
    weight = torch.randn(5, 3, 4, generator=generator, requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = conv1d(x, weight)
        grads = torch.autograd.grad(y.square().sum(), (x, weight))
    finally:
        torch.set_num_threads(before)
    expected = F.conv1d(x, weight)
    wanted = torch.autograd.grad(expected.square().sum(), (x, weight))
    for ours, theirs in zip((y, *grads), (expected, *wanted), strict=True):
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_what_is_not_a_number_stays_so(generator):
    x = torch.randn(1, 2, 300, generator=generator)
    x[0, 0, 100] = float("nan")
    y = conv1d(x, torch.randn(3, 2, 3, generator=generator), elu=True)
    assert y[..., 98:101].isnan().all() and y.isnan().sum() == 9


def test_makes_no_gradient_for_what_needs_none(generator):
    x, weight = torch.randn(1, 2, 50, generator=generator), torch.randn(2, 2, 3, requires_grad=True)
    conv1d(x, weight).sum().backward()
    assert x.grad is None and weight.grad is not None


def test_a_tracer_sees_the_plain_formula(generator, monkeypatch):
    layer = PaddedConv(Pad(5, 2), nn.Conv1d(2, 3, 5, dilation=2), elu=True)
    x = torch.randn(1, 2, 400, generator=generator)
    ours = layer(x)
    monkeypatch.setattr(torch.jit, "is_tracing", lambda: True)
    plain = layer(x)
    assert "Elu" in plain.grad_fn.name() and "Elu" not in ours.grad_fn.name()
    assert torch.allclose(plain, ours, atol=1e-6)


def test_keeps_one_result_and_no_padded_copy():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        conv1d(torch.randn(1, 4, 5000, requires_grad=True), torch.randn(4, 4, 13), padding=(12, 0), elu=True)
    assert sorted(kept) == [4 * 4 * 13, 4 * 5000, 4 * 5000]


def test_double_precision_stays_double(generator):
    x = torch.randn(1, 2, 30, generator=generator, dtype=torch.float64)
    weight = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64)
    assert torch.equal(conv1d(x, weight), F.conv1d(x, weight))


def test_autocast_runs_in_bfloat16_and_weights_get_float32_gradients(generator):
    layer = PaddedConv(Pad(7, 3), nn.Conv1d(4, 4, 7, dilation=3))
    x = torch.randn(2, 4, 600, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert (y - layer(x)).abs().max() < 0.05
    y.float().square().sum().backward()
    assert layer[1].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("channels, dilation", [(1, 1), (5, 3), (32, 40)])
def test_bfloat16_rounds_numbers_but_sums_them_in_float32(generator, channels, dilation):
    x = torch.randn(2, channels, 700, generator=generator).bfloat16().requires_grad_()
    weight = torch.randn(6, channels, 7, generator=generator).bfloat16().float().requires_grad_()
    bias = torch.randn(6, generator=generator, requires_grad=True)
    y = conv1d(x, weight, bias, dilation=dilation, padding=(3, 2), elu=True)
    expected = F.elu(F.conv1d(F.pad(x.float(), (3, 2)), weight, bias, dilation=dilation))
    direction = torch.randn(y.shape, generator=generator)
    ours = torch.autograd.grad((y * direction).sum(), (x, weight, bias))
    theirs = torch.autograd.grad((expected * direction).sum(), (x, weight, bias))
    for value, wanted in zip((y, *ours), (expected, *theirs), strict=True):
        assert (
            value.float() - wanted
        ).norm() < 2**-8 * wanted.norm()  # half a unit in the last place of 8 bits


def test_computes_the_same_where_vectors_are_short():
    code = """
import torch
from drumblender.nets.conv import conv1d
from drumblender.nets.cpu import lanes
assert lanes.LANES == 8 and not lanes.PAIRS
for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 2**-8)):
    x, weight = torch.randn(1, 3, 100).to(dtype), torch.randn(5, 3, 4, requires_grad=True)
    y, expected = conv1d(x, weight), torch.nn.functional.conv1d(x.float(), weight)
    grad, wanted = (torch.autograd.grad(s.float().sum(), weight)[0] for s in (y, expected))
    assert (y - expected).norm() < tolerance * expected.norm()
    assert (grad - wanted).norm() < tolerance * wanted.norm()
"""
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_CPU_NAME": "generic"}, check=True)


def test_refuses_other_channels_and_too_few_frames():
    with pytest.raises(ValueError, match="Needs 3 channels, got 2"):
        conv1d(torch.zeros(1, 2, 9), torch.zeros(1, 3, 1))
    with pytest.raises(ValueError, match="at least 5 frames, got 4"):
        conv1d(torch.zeros(1, 1, 4), torch.zeros(1, 1, 3), dilation=3, padding=(2, 0))


def test_an_odd_number_of_zeros_on_both_sides_loses_a_frame():
    assert Pad(4, 1, causal=False)(torch.zeros(1, 1, 10)).shape[-1] == 12
    with pytest.raises(ValueError, match="kernel_size=0"):
        Pad(0)
