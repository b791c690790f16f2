"""Triton's kernels against the plain formulas in float64: a script, not a test.

They run on the GPU, or in the interpreter where there is none. Triton reads whether to interpret when it is
imported, so ``test_triton.py`` gives this its own process.
"""

import copy
import time

import torch
from torch.nn.functional import gelu

from drumblender.dsp import decays
from drumblender.dsp.filters import biquad_plain
from drumblender.dsp.harmonics import harmonic_bank_plain
from drumblender.dsp.kernels import (
    all_pole,
    all_pole_cuda,
    decays_cuda,
    filters_cuda,
    harmonics_cuda,
    oscillators,
    oscillators_cpu,
    oscillators_cuda,
    spectral_distance_cuda,
)
from drumblender.dsp.oscillators import modal_bank as modal
from drumblender.dsp.spectral_distance import spectral_sums_plain
from drumblender.nets.cuda import film_cuda
from drumblender.nets.film import FiLM

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def gradients(function, inputs, weight, device="cpu"):
    leaves = [value.detach().to(device, copy=True).requires_grad_() for value in inputs]
    out = function(*leaves)
    found = [out.detach(), *torch.autograd.grad((out * weight.to(out)).sum(), leaves)]
    return [value.cpu() for value in found]


def assert_close(kernel, plain, inputs, weight, tolerance):
    found = gradients(kernel, inputs, weight, DEVICE)
    truth = gradients(plain, [value.double() for value in inputs], weight)
    for index, (f, t) in enumerate(zip(found, truth, strict=True)):
        error, scale = (f - t).abs().max(), t.abs().max()
        assert error <= tolerance * scale, f"result {index}: {error:.3g} of {scale:.3g}"


def modal_bank():
    """Against the loops of the CPU, which others hold to the plain formula; a silent mode has gradients.

    Some modes cross Nyquist between two frames.
    """
    torch.manual_seed(5)
    for frames, size, align, highest in ((2, 300, "center", 5), (9, 5, "hop", 5), (2, 300, "center", 2)):
        inputs = [highest * torch.rand(2, 3, frames), torch.rand(2, 3, frames), torch.randn(2, 3, frames)]
        inputs[1][:, 1] = 0
        weight, results = torch.randn(2, size), []
        for kernel, device in ((oscillators_cuda, DEVICE), (oscillators_cpu, "cpu")):
            oscillators._kernel = lambda device, kernel=kernel: kernel
            bank = lambda *given, align=align, size=size: modal(*given, num_samples=size, align=align)  # noqa: E731
            results.append(gradients(bank, inputs, weight, device))
        for found, truth in zip(*results, strict=True):
            assert (found - truth).abs().max() < 2e-6 * truth.abs().max(), (frames, size, align)


def sparse_all_pole():
    """Against the plain formula in blocks, over lags that move; what lies before the history is silence."""
    generator = torch.Generator().manual_seed(6)
    all_pole_cuda._BLOCK = 8
    plain = all_pole._forward_blocks, all_pole._backward_blocks
    for nearest, farthest in ((1, 2), (5, 12)):
        draw = {"generator": generator, "dtype": torch.float64}
        (x, grad), zi = torch.randn(2, 2, 24, **draw), torch.randn(2, 16, **draw)
        lag = torch.randint(nearest, farthest + 1, (2, 24), generator=generator)
        taps, results = 0.2 * torch.randn(2, 24, 4, **draw), []
        loops = all_pole_cuda.loop_forward, all_pole_cuda.loop_backward
        for (forward, back), device in ((plain, "cpu"), (loops, DEVICE)):
            there = [value.to(device) for value in (x, lag, taps)]
            padded = torch.cat([zi, torch.zeros_like(x)], dim=1).to(device)
            forward(*there, padded, nearest)
            adjoint = torch.cat([torch.zeros_like(zi), grad], dim=1).to(device)
            by_taps = torch.zeros_like(there[2])
            back(adjoint, *there[1:], padded, by_taps, nearest)
            results.append([value.cpu() for value in (padded, adjoint, by_taps)])
        for one, other in zip(*results, strict=True):
            assert torch.allclose(one, other, atol=1e-12), (nearest, (one - other).abs().max())
    silent = [torch.cat([torch.zeros(2, history, dtype=x.dtype), x], dim=1) for history in (16, 0)]
    silent = [padded.to(DEVICE) for padded in silent]
    for padded in silent:
        all_pole_cuda.loop_forward(*there, padded)
    assert torch.equal(silent[0][:, 16:], silent[1])


def harmonic_bank():
    """Fundamentals that take upper harmonics across Nyquist, joined in every way."""
    generator = torch.Generator().manual_seed(0)
    harmonics_cuda._WIDTH, harmonics_cuda._TILE = 64, (32, 4)
    for f0_frames, amp_frames, size, ways in (
        (7, 3, 100, ("ends", "windows")),
        (1, 1, 40, ("hop", "center")),
        (5, 3, 7, ("center", "hop")),
    ):
        f0_hz = 60 + 1500 * torch.rand(2, f0_frames, generator=generator)
        amp = torch.randn(2, amp_frames, 7, generator=generator)
        weight = torch.randn(2, size, generator=generator, dtype=torch.float64)
        names = dict(zip(("f0_upsampling", "amp_upsampling"), ways, strict=True))
        settings = {"num_samples": size, "sample_rate": 8000, **names}
        assert_close(
            lambda *inputs, settings=settings: harmonics_cuda.fused_harmonic_bank(*inputs, **settings),
            lambda *inputs, settings=settings: harmonic_bank_plain(*inputs, **settings),
            (f0_hz, amp),
            weight,
            2e-6,  # a sum of float32
        )


def harmonic_bank_of_nan():
    f0_hz = torch.tensor([[200.0, 200.0, torch.nan]])
    settings = 30, 8000, "ends", "ends"
    f0_hz = f0_hz.to(DEVICE).requires_grad_()
    amp = torch.ones(1, 1, 2, device=DEVICE, requires_grad=True)
    out = harmonics_cuda.fused_harmonic_bank(f0_hz, amp, *settings)
    out.sum().backward()
    assert out[0, 0].isfinite() and out[0, -1].isnan() and f0_hz.grad.isnan().any() and amp.grad.isnan().all()


def biquad():
    """Over several tiles, and over several joints of tiles; the clamp cuts."""
    generator = torch.Generator().manual_seed(1)
    filters_cuda._TILE = 4
    audio, b = (torch.randn(2, size, generator=generator) for size in (21, 3))
    a = torch.tensor([[1, -1.8, 0.95], [1, 0.3, -0.4]])
    weight = torch.randn(2, 21, generator=generator, dtype=torch.float64)
    assert_close(
        lambda *inputs: filters_cuda.Biquad.apply(*inputs, True),
        lambda *inputs: biquad_plain(*inputs, clamp=True),
        (audio, b, a),
        weight,
        2e-7,
    )


def decaying_sweep():
    """Rates of both signs, of 1, and attacks of all lengths."""
    generator = torch.Generator().manual_seed(2)
    decays_cuda._TILE, size = 64, 100
    rows = [0.05, 0.01, 0.3], [1, 0.5, -0.3], [0.99, 1, -0.5], [0.998, 0.97, 0.5], [1, 0.3, 2]
    controls = [torch.tensor(row, dtype=torch.float32) for row in rows]
    weight = torch.randn(3, size, generator=generator, dtype=torch.float64)

    def plain(step, depth, sweep_rate, fade_rate, amp):
        phase = decays._phase(step, depth[:, None] * decays._decay_plain(sweep_rate, attack, size))
        return amp[:, None] * decays._decay_plain(fade_rate, attack, size) * phase.sin()

    for attack in (0, 30, 200):
        fused = lambda *inputs, attack=attack: decays_cuda.Sweep.apply(*inputs, attack, size)  # noqa: E731
        assert_close(fused, plain, controls, weight, 2e-6)


def film():
    """With statistics of the batch, of the past, and without; what is learnt on the way too."""
    torch.manual_seed(3)
    film_cuda._TILE = 16
    inputs = 2 * torch.randn(2, 3, 37) + 5, torch.randn(2, 4), torch.randn(2, 3, 37)
    weight = torch.randn(2, 3, 37, dtype=torch.float64)
    for norm, training in ((True, True), (True, False), (False, True)):
        plain = FiLM(4, 3, use_batch_norm=norm).train(training)
        net = copy.deepcopy(plain).to(DEVICE)
        plain.double()
        assert_close(
            lambda z, embedding, skip, net=net: film_cuda.film_gelu(z, embedding, net, skip),
            lambda z, embedding, skip, plain=plain: gelu(plain(z, embedding)) + skip,
            inputs,
            weight,
            1e-6,
        )
        for name, buffer in net.named_buffers():
            assert torch.allclose(buffer.double().cpu(), plain.get_buffer(name).double(), rtol=1e-6), name


def spectral_sums():
    """Some bins under the floor, and silence; with and without the gain."""
    generator = torch.Generator().manual_seed(4)
    spectral_distance_cuda._TILE = 16
    target = torch.randn(2, 5, 9, 2, generator=generator)
    prediction = torch.randn(2, 5, 9, 2, generator=generator)
    prediction[0, 1] = 0
    weight = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    heard = torch.view_as_complex(target)
    for match_gain, floor, offset in ((False, 0.2, 0.0), (True, 0.2, 0.1), (True, 0.0, 0.1)):
        limits = {"floor": floor, "offset": offset, "match_gain": match_gain}
        assert_close(
            lambda x, limits=limits: spectral_distance_cuda.SpectralSums.apply(
                torch.view_as_complex(x), heard.to(DEVICE), *limits.values()
            ),
            lambda x, limits=limits: torch.stack(
                spectral_sums_plain(torch.view_as_complex(x), heard.to(torch.complex128), **limits), dim=1
            ),
            [prediction],
            weight,
            1e-6,
        )


CHECKS = (
    modal_bank,
    sparse_all_pole,
    harmonic_bank,
    harmonic_bank_of_nan,
    biquad,
    decaying_sweep,
    film,
    spectral_sums,
)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for check in CHECKS:
        check()
        print(check.__name__, f"{time.process_time():.1f} s")
