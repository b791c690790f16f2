import os
import subprocess
import sys

import pytest
import torch
from references import reference

from drumblender.dsp import all_pole as all_pole_module
from drumblender.dsp.all_pole import all_pole, sparse_all_pole, sparse_all_pole_inverse, windowed_all_pole
from drumblender.dsp.kernels import all_pole as kernels
from drumblender.dsp.windows import place_windows, take_windows


def draw(generator, batch=2, samples=200, taps=4, lags=(7, 30)):
    x = torch.randn(batch, samples, generator=generator, dtype=torch.float64)
    lag = torch.randint(lags[0], lags[1] + 1, (batch, samples), generator=generator)
    a = 0.2 * torch.randn(batch, samples, taps, generator=generator, dtype=torch.float64)
    return x, lag, a


def test_a_lag_of_one_is_an_ordinary_filter(generator):
    scipy_signal = pytest.importorskip("scipy.signal")
    x, _, _ = draw(generator, batch=1)
    a = [0.5, -0.3, 0.1]
    expected = scipy_signal.lfilter([1.0], [1.0, *a], x[0].numpy())
    filtered = all_pole(x, torch.tensor(a, dtype=torch.float64).expand(1, 200, 3))
    assert torch.allclose(filtered[0], torch.from_numpy(expected), atol=1e-13)


def test_equals_the_dense_recursion_of_torchlpc(generator):
    torchlpc = reference("torchlpc")
    x, lag, a = draw(generator)
    dense = torch.zeros(2, 200, 40, dtype=torch.float64)
    places = lag[..., None] - 1 + torch.arange(4)
    dense = dense.scatter(2, places, a).requires_grad_()
    leaves = x.clone().requires_grad_(), a.clone().requires_grad_()
    expected = torchlpc.sample_wise_lpc(leaves[0], dense)
    weight = torch.randn(2, 200, generator=generator, dtype=torch.float64)
    (expected * weight).sum().backward()
    by_x, by_dense = leaves[0].grad.clone(), dense.grad.gather(2, places)
    leaves[0].grad = None
    result = sparse_all_pole(leaves[0], lag, leaves[1])
    (result * weight).sum().backward()
    assert torch.allclose(result, expected, atol=1e-13)
    assert torch.allclose(leaves[0].grad, by_x, atol=1e-13)
    assert torch.allclose(leaves[1].grad, by_dense, atol=1e-12)


@pytest.mark.parametrize("op", [sparse_all_pole, sparse_all_pole_inverse])
def test_gradients_reach_signal_taps_and_state(op, generator):
    x, lag, a = draw(generator, samples=40)
    zi = torch.randn(2, 33, generator=generator, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (x, a, zi)]
    assert torch.autograd.gradcheck(lambda x, a, z: op(x, lag, a, z), inputs)


def run(forward, backward, x, lag, a, zi, grad):
    padded = torch.cat([zi, torch.zeros_like(x)], dim=1)
    nearest = int(lag.min())
    forward(x, lag, a, padded, nearest)
    adjoint, grad_a = torch.cat([torch.zeros_like(zi), grad], dim=1), torch.zeros_like(a)
    backward(adjoint, lag, a, padded, grad_a, nearest)
    return padded, adjoint, grad_a


@pytest.mark.parametrize("lags", [(1, 3), (7, 30), (25, 25)])
def test_blocks_in_plain_torch_equal_the_compiled_loops(lags, generator):
    x, lag, a = draw(generator, lags=lags)
    zi, grad = (torch.randn(2, n, generator=generator, dtype=torch.float64) for n in (40, 200))
    compiled = run(kernels._forward_cpu, kernels._backward_cpu, x, lag, a, zi, grad)
    plain = run(kernels._forward_blocks, kernels._backward_blocks, x, lag, a, zi, grad)
    for one, other in zip(compiled, plain, strict=True):
        assert torch.allclose(one, other, atol=1e-13)


@pytest.mark.parametrize("op", [sparse_all_pole, sparse_all_pole_inverse])
def test_other_devices_take_the_plain_path(op, generator, monkeypatch):
    """As on MPS: the branch for devices without kernels, taken here on the CPU."""
    x, lag, a = draw(generator)
    zi = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    results = []
    for elsewhere in (False, True):
        if elsewhere:
            monkeypatch.setattr(kernels, "_forward_on", lambda *_: kernels._forward_blocks)
            monkeypatch.setattr(kernels, "_backward_on", lambda *_: kernels._backward_blocks)
            monkeypatch.setattr(all_pole_module, "served", lambda *_: False)
        leaves = [tensor.clone().requires_grad_() for tensor in (x, a, zi)]
        out = op(leaves[0], lag, leaves[1], leaves[2])
        out.square().sum().backward()
        results.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for kernel, plain in zip(*results, strict=True):
        assert torch.allclose(kernel, plain, atol=1e-11)


def test_the_triton_kernels_equal_the_compiled_loops():
    """In an interpreter of their own: Triton reads the setting when it is imported."""
    pytest.importorskip("triton")
    script = """
import torch
from drumblender.dsp.kernels import all_pole as kernels, all_pole_cuda
all_pole_cuda._BLOCK = 16
generator = torch.Generator().manual_seed(0)
for nearest, farthest in ((1, 2), (7, 30)):
    x, grad = (torch.randn(2, 70, generator=generator, dtype=torch.float64) for _ in range(2))
    zi = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    lag = torch.randint(nearest, farthest + 1, (2, 70), generator=generator)
    a = 0.2 * torch.randn(2, 70, 4, generator=generator, dtype=torch.float64)
    results = []
    compiled = kernels._forward_cpu, kernels._backward_cpu
    for forward, backward in (compiled, (all_pole_cuda.loop_forward, all_pole_cuda.loop_backward)):
        padded = torch.cat([zi, torch.zeros_like(x)], dim=1)
        forward(x, lag, a, padded, nearest)
        adjoint, grad_a = torch.cat([torch.zeros_like(zi), grad], dim=1), torch.zeros_like(a)
        backward(adjoint, lag, a, padded, grad_a, nearest)
        results.append((padded, adjoint, grad_a))
    for one, other in zip(*results):
        assert torch.allclose(one, other, atol=1e-12), (nearest, (one - other).abs().max())
    silent = [torch.cat([torch.zeros(2, history, dtype=x.dtype), x], dim=1) for history in (40, 0)]
    for padded in silent:
        all_pole_cuda.loop_forward(x, lag, a, padded)
    assert torch.equal(silent[0][:, 40:], silent[1]), "what lies before the history is silence"
"""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_window_outside_of_the_signal_is_cut_or_left_out(generator):
    signal = torch.randn(1, 50, generator=generator, dtype=torch.float64)
    poles = 0.1 * torch.rand(1, 20, 3, generator=generator, dtype=torch.float64)
    filtered = windowed_all_pole(signal, poles, [0, 40, 60])
    assert (filtered[:, 20:40] == 0).all()
    whole = windowed_all_pole(torch.nn.functional.pad(signal, (0, 50)), poles, [0, 40])
    assert torch.equal(filtered, whole[:, :50])


def test_windows_may_start_elsewhere_for_each_item(generator):
    signal = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    poles = 0.1 * torch.rand(2, 10, 3, generator=generator, dtype=torch.float64)
    together = windowed_all_pole(signal, poles, torch.tensor([[0, 20], [5, 70]]))
    first = windowed_all_pole(signal[:1], poles[:1], [0, 20])
    second = windowed_all_pole(signal[1:], poles[1:], [5])
    assert torch.equal(together, torch.cat([first, second]))


def test_windows_come_back_from_where_they_were_placed(generator):
    windows = torch.randn(2, 3, 5, generator=generator)
    assert torch.equal(take_windows(place_windows(windows, [0, 7, 20], 30), [0, 7, 20], 5), windows)


def test_the_windowed_inverse_undoes_the_filter(generator):
    signal = torch.randn(1, 50, generator=generator, dtype=torch.float64)
    poles = 0.2 * torch.rand(1, 10, 3, generator=generator, dtype=torch.float64)
    back = windowed_all_pole(windowed_all_pole(signal, poles, [0, 30], inverse=True), poles, [0, 30])
    assert torch.allclose(back[:, 30:40], signal[:, 30:40]) and (back[:, 10:30] == 0).all()


@pytest.mark.parametrize("lag, state, message", [(0, 10, "lag of 0"), (8, 10, "reads? 11 back")])
def test_an_impossible_lag_is_refused(lag, state, message):
    x, a = torch.zeros(1, 20), torch.zeros(1, 20, 4)
    with pytest.raises(ValueError, match=message):
        sparse_all_pole(x, torch.full((1, 20), lag), a, torch.zeros(1, state))


@pytest.mark.parametrize("inverse", [False, True])
def test_golden_windows(inverse, golden):
    numbers = golden("strings", "windowed_all_pole")
    leaves = [numbers[f"in_{name}"].clone().requires_grad_() for name in ("signal", "coefficients")]
    result = windowed_all_pole(*leaves, **numbers.config["call"], inverse=inverse)
    (result * numbers["in_weight"]).sum().backward()
    way = "inverse" if inverse else "forward"
    numbers.check(f"out_{way}", result)
    numbers.check(f"grad_{way}_signal", leaves[0].grad)
    numbers.check(f"grad_{way}_coefficients", leaves[1].grad)


@pytest.mark.parametrize("kernel", ["plain", "torchlpc"])
def test_who_computes_a_recursion_changes_nothing(kernel, generator):
    if kernel == "torchlpc":
        reference("torchlpc")
    x, lag, a = draw(generator)
    zi, weight = torch.randn(2, 40, generator=generator, dtype=torch.float64), torch.randn_like(x)
    results = []
    for choice in ("auto", kernel):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, a, zi)]
        out = sparse_all_pole(leaves[0], lag, leaves[1], leaves[2], kernel=choice)
        results.append([out, *torch.autograd.grad((out * weight).sum(), leaves)])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_a_kernel_that_is_not_there_is_named_with_its_extra(monkeypatch, unchecked):
    x, lag = torch.zeros(1, 5), torch.ones(1, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match="auto, plain, torchlpc, got 'fast'"):
        sparse_all_pole(x, lag, torch.zeros(1, 5, 1), kernel="fast")
    monkeypatch.setitem(sys.modules, "torchlpc", None)
    with pytest.raises(ValueError, match=r"drumblender\[reference\]"):
        sparse_all_pole(x, lag, torch.zeros(1, 5, 1), kernel="torchlpc")
