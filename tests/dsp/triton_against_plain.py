"""Triton's kernels, run by its interpreter, against the plain formulas in float64: a script, not a test.

Triton reads whether to interpret when it is imported, so ``test_triton.py`` gives this its own process.
"""

import torch

from drumblender.dsp.harmonics import harmonic_bank_plain
from drumblender.dsp.kernels import harmonics_cuda


def gradients(function, inputs, weight):
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad((out * weight.to(out)).sum(), leaves)]


def assert_close(kernel, plain, inputs, weight, tolerance):
    found = gradients(kernel, inputs, weight)
    truth = gradients(plain, [value.double() for value in inputs], weight)
    for index, (f, t) in enumerate(zip(found, truth, strict=True)):
        error, scale = (f - t).abs().max(), t.abs().max()
        assert error <= tolerance * scale, f"result {index}: {error:.3g} of {scale:.3g}"


def harmonic_bank():
    """Fundamentals that take upper harmonics across Nyquist, joined in every way."""
    generator = torch.Generator().manual_seed(0)
    harmonics_cuda._WIDTH, harmonics_cuda._TILE = 64, (32, 4)
    for f0_frames, amp_frames, size, ways in (
        (7, 3, 150, ("ends", "windows")),
        (1, 1, 40, ("hop", "center")),
        (20, 9, 7, ("center", "hop")),
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
    f0_hz, amp = f0_hz.requires_grad_(), torch.ones(1, 1, 2, requires_grad=True)
    out = harmonics_cuda.fused_harmonic_bank(f0_hz, amp, *settings)
    out.sum().backward()
    assert out[0, 0].isfinite() and out[0, -1].isnan() and f0_hz.grad.isnan().any() and amp.grad.isnan().all()


CHECKS = (harmonic_bank, harmonic_bank_of_nan)

if __name__ == "__main__":
    torch.set_num_threads(1)
    for check in CHECKS:
        check()
        print(check.__name__)
