"""Kernels for GPUs, without one: interpreted against the plain formulas, and compiled for two generations."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretended_cuda import backward, compiled, pretended_cuda

from drumblender.dsp import kernels
from drumblender.dsp.all_pole import sparse_all_pole
from drumblender.dsp.decays import decaying_sweep
from drumblender.dsp.drum_voice import drum_voice
from drumblender.dsp.filters import biquad
from drumblender.dsp.harmonics import harmonic_bank
from drumblender.dsp.oscillators import modal_bank
from drumblender.dsp.spectral_distance import spectral_sums
from drumblender.nets.tcn import TCN

GENERATIONS = 80, 90  # A100, H100


def ask(*shape):
    return torch.rand(shape, device="cuda", requires_grad=True)


def film_net():
    """Without the batch norm, whose count of batches is copied where it is built."""
    with torch.device("cuda"):
        net = TCN(1, 4, 1, num_layers=1, film_conditioning=True, film_embedding_size=3, film_batch_norm=False)
        return net(torch.rand(2, 1, 50), ask(2, 3))


OPS = {
    "modal_bank": lambda: modal_bank(ask(2, 3, 7), ask(2, 3, 7), num_samples=300),
    "harmonic_bank": lambda: harmonic_bank(ask(2, 7), ask(2, 5, 9), num_samples=300, sample_rate=8000),
    "harmonic_bank of one": lambda: harmonic_bank(ask(1, 1), ask(1, 1, 1), num_samples=1, sample_rate=8000),
    "biquad": lambda: biquad(ask(2, 3000), ask(2, 3), ask(1, 3), clamp=True),
    "biquad of one tile": lambda: biquad(ask(1, 5), ask(1, 3), ask(1, 3)),
    "decaying_sweep": lambda: decaying_sweep(*(ask(2) for _ in range(5)), num_samples=600, sample_rate=1000),
    "drum_voice": lambda: drum_voice(
        ask(2, 2),
        ask(2, 2),
        ask(2),
        ask(2, 2),
        ask(2, 2),
        torch.rand(1, 600, device="cuda"),
        *(ask(2), ask(2), ask(2)),
        (ask(2, 3), ask(2, 3)),
        sample_rate=8000,
    ),
    "film": film_net,
    "spectral_sums": lambda: sum(
        spectral_sums(
            torch.view_as_complex(ask(2, 3, 4, 2)),
            torch.rand(2, 3, 4, device="cuda", dtype=torch.complex64),
            match_gain=True,
        )
    ),
}


def test_kernels_in_tritons_interpreter_equal_the_plain_formulas():
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("triton_against_plain.py")],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="Triton brings its assembler for x86 hosts")
def test_a_recursion_on_cuda_reads_no_lag(monkeypatch, unchecked):
    """Its kernel finds out how many samples do not hear each other. The plain formula has to know."""
    pytest.importorskip("triton")
    with pretended_cuda(monkeypatch) as (launched, _):
        for state in (None, ask(2, 40)):
            lag = torch.full((2, 300), 30, device="cuda")
            out = sparse_all_pole(ask(2, 300), lag, ask(2, 300, 3), state)
            backward(out.sum(), torch.ones((), device="cuda"))
    assert set(launched) == {"_forward", "_backward"}
    for launch in launched.values():
        assert all(compiled(launch, generation) for generation in GENERATIONS)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="Triton brings its assembler for x86 hosts")
@pytest.mark.parametrize("op", OPS)
def test_an_op_on_cuda_launches_kernels_that_compile_and_waits_for_nothing(op, monkeypatch, unchecked):
    pytest.importorskip("triton")
    with pretended_cuda(monkeypatch) as (launched, uploads):
        for _ in range(2):
            seen = uploads.count
            out = OPS[op]()
            backward(out.sum(), torch.ones((), device="cuda"))
    assert out.device.type == "cuda"
    assert launched and uploads.count == seen, "a table is copied at every call"
    for launch in launched.values():
        assert all(compiled(launch, generation) for generation in GENERATIONS)


@pytest.mark.parametrize("op", OPS)
def test_without_triton_an_op_on_cuda_is_its_plain_formula(op, monkeypatch, unchecked):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setattr(kernels, "find_spec", lambda _: None)
    kernels.has_triton.cache_clear()
    try:
        with pretended_cuda(monkeypatch) as (launched, _):
            out = OPS[op]()
            backward(out.sum(), torch.ones((), device="cuda"))
        assert out.device.type == "cuda" and not launched
    finally:
        kernels.has_triton.cache_clear()
