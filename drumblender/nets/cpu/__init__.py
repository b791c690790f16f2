"""The blocks of ``nets`` in one pass over tiles that stay in the cache: numba, float32 and bfloat16.

``X.py`` is the autograd glue of a block, ``X_loops.py`` its loops.
"""

import torch
from torch import Tensor

from drumblender.dsp.kernels import read_along


def tiled(x: Tensor) -> bool:
    """Whether the layers in tiles serve ``x``: on the CPU, in float32 or bfloat16, and nobody reads along."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16) and not read_along()


def under_autocast(x: Tensor) -> Tensor:
    """``x``, contiguous and in the type in which autocast keeps what lies between layers, where it is on."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return x.to(dtype).contiguous()
