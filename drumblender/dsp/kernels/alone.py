"""Packages whose loops numba compiles while they are imported, one process at a time."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


def import_alone(name: str) -> ModuleType:
    """Import a module, and let no other process of ours import one so meanwhile.

    librosa and resampy compile some loops for several types as they are imported, and numba keeps these on
    disk by numbers from an index. Processes that do so at once can give one number to two types; whoever
    calls such a loop from then on, in any process, ends with a segmentation fault. Seen where eight trainings
    began on a fresh installation.

    Args:
        name: The module, in full.

    Examples:
        >>> import_alone("librosa.core.pitch").yin
        <function yin at 0x...>
    """
    if name in sys.modules:
        return import_module(name)  # not from sys.modules: another thread may still be importing it
    from filelock import FileLock  # slow to import, as is numba below

    from drumblender.dsp.kernels.jit import cache_folder

    folder = cache_folder(Path(__file__).parent)
    if folder is None:  # where nothing can be kept, nothing can be mixed up
        return import_module(name)
    with FileLock(folder / "imports.lock"):
        return import_module(name)
