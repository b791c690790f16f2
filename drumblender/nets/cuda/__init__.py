"""Blocks of ``nets`` in one pass over memory on CUDA: Triton, in float32 inside."""

import torch
from torch import Tensor

from drumblender.dsp.kernels import has_triton, read_along


def fused(x: Tensor) -> bool:
    """Whether the kernels serve ``x``: on CUDA with Triton, in float32 or half precision, read by nobody."""
    kinds = torch.float32, torch.bfloat16, torch.float16
    return x.device.type == "cuda" and x.dtype in kinds and has_triton() and not read_along()
