"""docs/gpu.md says what runs where as the code does; DRUMBLENDER_WRITE_GPU=1 writes its table anew."""

import os
from datetime import date
from pathlib import Path

import pytest
import torch
from dsp_ops import OPS
from pretended_cuda import backward, pretended_cuda

from drumblender.nets.tcn import TCN

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"
MARKS = "<!-- DRUMBLENDER_WRITE_GPU=1 pytest tests/test_gpu_page.py -->\n", "<!-- to here -->\n"
HEAD = "| op | CPU float32 | CPU float64 | CUDA float32 | CUDA float64 | MPS float32 |\n" + "|---" * 6 + "|\n"


def film(x, embedding):
    torch.set_default_dtype(x.dtype)
    try:
        net = TCN(1, 4, 1, num_layers=1, film_conditioning=True, film_embedding_size=5, film_batch_norm=False)
    finally:
        torch.set_default_dtype(torch.float32)
    return net(x[:, None], embedding)


EVERY = OPS | {"nets.TCN with FiLM": (film, lambda: (torch.rand(3, 60), torch.rand(3, 5)))}


def leaves(draw, dtype, device="cpu"):
    return [
        torch.empty(value.shape, dtype=dtype, device=device).requires_grad_()
        if device == "cuda"
        else value.detach().to(dtype).requires_grad_()
        for value in draw
    ]


def on_the_cpu(op, drawn, dtype):
    """Whether a loop of ours takes part, forwards or on the way back."""
    torch.manual_seed(0)
    nodes = [op(*leaves(drawn, dtype)).grad_fn]
    for node in nodes:
        if getattr(type(node), "_forward_cls", type(node)).__module__.startswith("drumblender."):
            return True
        nodes += {following for following, _ in getattr(node, "next_functions", ()) if following} - set(nodes)
    return False


def on_cuda(op, drawn, dtype, monkeypatch):
    with monkeypatch.context() as patch, pretended_cuda(patch) as (launched, _), torch.device("cuda"):
        out = op(*leaves(drawn, dtype, "cuda"))
        backward(out.sum(), torch.ones((), device="cuda", dtype=out.dtype))
    return bool(launched)


def rows(monkeypatch):
    """Of each op with a kernel: none has one for CUDA alone."""
    types = torch.float32, torch.float64
    for name, (op, draw) in EVERY.items():
        drawn = draw()
        found = [on_the_cpu(op, drawn, dtype) for dtype in types]
        if any(found):
            words = ["numba" if kernel else "plain" for kernel in found]
            fused = on_cuda(op, drawn, torch.float32, monkeypatch)  # nothing is fused in float64 alone
            found = [fused, fused and on_cuda(op, drawn, torch.float64, monkeypatch)]
            words += ["Triton" if kernel else "plain" for kernel in found]
            yield f"| `{name}` | " + " | ".join([*words, "plain"]) + " |\n"


def test_the_page_says_what_runs_where(monkeypatch, unchecked):
    pytest.importorskip("triton")
    table = HEAD + "".join(rows(monkeypatch))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    kept, after = rest.split(MARKS[1])
    if os.environ.get("DRUMBLENDER_WRITE_GPU"):
        dated = f"As of {date.today()}:\n\n{table}"
        PAGE.write_text(f"{before}{MARKS[0]}{dated}{MARKS[1]}{after}", encoding="utf-8")
        return
    assert kept.partition("\n\n")[2] == table
