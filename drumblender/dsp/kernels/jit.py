"""Compiles the loops of the CPU, and keeps what it compiled on disk.

numba's own cache sees a change of the file that a function stands in, not of those it calls into, and ends
a program where a file of it is damaged. Here all kernels lie in a folder named by a digest of their sources,
and what is read must match the checksum that it was written with; otherwise it is compiled anew.
"""

import glob
import hashlib
import logging
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite
import numba
from llvmlite.binding import Linkage
from numba.core import caching, config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

_log = logging.getLogger(__name__)

ORDERED = {"contract", "nsz"}
"""Floating point as it is written, but for fused multiply-add. NaN and infinity keep their meaning in all."""
FAST = ORDERED | {"reassoc"}
"""Sums in any order, so that many lanes add at once."""
FASTEST = FAST | {"arcp"}
"""Also division by multiplying with a reciprocal."""

# Python's error model tests every divisor for 0, which keeps a loop from being vectorised.
_EVERY = {"nogil": True, "error_model": "numpy"}
PART = _EVERY | {"fastmath": FASTEST, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of what only other kernels call: it compiles faster, and into them."""


def jit(function: Callable | None = None, /, *, fastmath: set[str] | None = None, inline: bool = False):
    """Compile a function that releases the GIL; the result is cached on disk.

    Args:
        function: What is compiled.
        fastmath: One of the sets above; none keeps every operation and its order as written.
        inline: Put the body into each caller instead, under the caller's flags.
    """
    if function is None:
        return lambda function: jit(function, fastmath=fastmath, inline=inline)
    options = _EVERY | {"fastmath": fastmath or False}
    if inline:
        return numba.njit(inline="always", **options)(function)
    dispatcher = numba.njit(pipeline_class=_Compiler, **options)(function)
    if cache_folder(Path(function.__code__.co_filename).parent) is not None:
        dispatcher._cache = _Cache(function)
    return dispatcher


def part(function: Callable) -> Callable:
    """Compile a function that only other kernels call."""
    return numba.njit(**PART)(function)


@cache
def cache_folder(sources: Path) -> Path | None:
    """Where the kernels of a folder are kept: beside them, else for the user; None where neither can be.

    ``NUMBA_CACHE_DIR`` comes first where it is set.
    """
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for folder in sorted({sources, Path(__file__).parent}):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    for home in _homes(sources):
        try:
            (home / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=home / name).close()
        except OSError:
            continue
        _forget_old(home)
        return home / name
    return None


def _forget_old(home: Path, keep: int = 8) -> None:
    """Remove what was compiled from sources that changed long ago."""
    with suppress(OSError):  # another process may do the same
        folders = sorted(home.glob("kernels-*"), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-keep]:
            shutil.rmtree(folder, ignore_errors=True)


def _homes(sources: Path) -> list[Path]:
    given = [Path(config.CACHE_DIR)] if config.CACHE_DIR else []
    users = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return [*given, sources / "__pycache__", Path(users).expanduser() / "drumblender"]


class _Library(JITCodeLibrary):
    """The code of a kernel, which calls its own copies of what it calls.

    numba leaves it to the linker which copy of a function serves all that call it. The process that compiles
    a kernel has also compiled the function for itself, under other optimisations, and would take that one;
    a process that reads the kernel from disk has only the copy that came with it. Sums then differ in their
    last bits between the two.
    """

    def _optimize_final_module(self) -> None:
        super()._optimize_final_module()
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr and not function.is_declaration:
                function.linkage = Linkage.internal


class _Compiler(Compiler):
    """Compiles into a library of the kind above."""

    def compile_extra(self, func: Callable):
        self.state.library = _Library(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _Locator(caching._CacheLocator):
    """Tells numba the folder."""

    def __init__(self, function: Callable, file: str) -> None:
        self._py_file, self._line = file, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable, file: str) -> "_Locator":
        return cls(function, file)

    def get_cache_path(self) -> str:
        return str(cache_folder(Path(self._py_file).parent))

    def get_source_stamp(self) -> str:
        return Path(self.get_cache_path()).name

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Format(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _Files(caching.IndexDataCacheFile):
    """A file for each signature, named by it, with a checksum before its content.

    numba numbers its files and keeps an index of them, in which processes that compile at the same time can
    give one number to two signatures: the next program then calls a loop with what another takes.
    """

    def __init__(self, folder: str, base: str, stamp: str) -> None:
        super().__init__(folder, base, stamp)
        self._base = base

    def _name(self, key: object) -> str:
        return f"{self._base}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def save(self, key: object, data: object) -> None:
        self._save_data(self._name(key), (key, data))

    def load(self, key: object) -> object:
        try:
            kept, data = self._load_data(self._name(key))
        except OSError:
            return None
        return data if kept == key else None

    def flush(self) -> None:
        for path in Path(self._cache_path).glob(f"{glob.escape(self._base)}.*.nbc"):
            path.unlink(missing_ok=True)

    def _dump(self, content: object) -> bytes:
        body = super()._dump(content)
        return hashlib.sha256(body).digest() + body

    def _load_data(self, name: str) -> object:
        content = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise OSError(f"{name} is damaged.")  # as good as missing: it is compiled
        return pickle.loads(content[32:])


class _Cache(caching.FunctionCache):
    _impl_class = _Format

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: object, target_context: object) -> object:
        found = super().load_overload(sig, target_context)
        if found is None:
            _tell_that_it_compiles(Path(self._cache_path))
        return found


@cache
def _tell_that_it_compiles(folder: Path) -> None:
    _log.info("Compiling kernels that this command needs, once for this processor; kept in %s.", folder)
