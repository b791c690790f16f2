"""What keeps parts that a stranger's file describes from filling the memory."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_MOST_BYTES = 4 << 30  # of one tensor
UNBUILDABLE = (
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    AssertionError,
    StopIteration,
)
"""What a class raises on arguments that it cannot work with, beside ValueError."""


class NothingHuge(TorchDispatchMode):
    """Stops what would fill the memory: a file may ask for a network or a noise of any size.

    Raises:
        MemoryError: A tensor of more than 4 GiB was made inside.

    Examples:
        >>> with NothingHuge():
        ...     torch.empty(1 << 31)
        Traceback (most recent call last):
        MemoryError: a tensor of 9 GB
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be left alone by the compiler, a mode imports it: 2 s

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.untyped_storage().nbytes() > _MOST_BYTES:
            raise MemoryError(f"a tensor of {made.untyped_storage().nbytes() / 1e9:.0f} GB")
        return made
