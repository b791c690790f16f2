"""CPU seconds and extra memory of a call, and the ratio of two calls measured in one run.

Once CUDA is in use, seconds last until the GPU is done, those of the processor too, and memory is the GPU's.
"""

import atexit
import csv
import ctypes
import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

ROWS = "DRUMBLENDER_BENCHMARK_ROWS"
"""Names the file that :func:`compare` notes its rows in."""
COLUMNS = ("title", "ours_s", "plain_s", "ours_mib", "plain_mib", "flop", "moved", "errors")
COMPILE = "DRUMBLENDER_BENCHMARK_COMPILE"
"""Names the file that the CPU seconds of compiling are written to when the process ends."""


class Cost(NamedTuple):
    """What one call costs: the median of some."""

    cpu_s: float
    wall_s: float
    extra_mib: float  # peak of resident memory over what was there before; NaN where Linux is not


class Floor(NamedTuple):
    """What no implementation of a call can do without, counted by hand."""

    flop: float  # operations; 2.5 n log2(n) for a real FFT
    moved: float  # bytes of what is given and returned, which are in no cache before


def fft_flop(n_fft: int) -> float:
    """Operations of one real FFT."""
    return 2.5 * n_fft * math.log2(n_fft)


def share(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest error, as a share of the largest value."""
    return ((found - exact).abs().max() / exact.abs().max()).item()


def cost(call: Callable[[], object], repeats: int = 5) -> Cost:
    """Measure ``call`` after one call to warm up, so neither compiling nor first use of a library counts."""
    call()
    cpu_s, wall_s = [], []
    for _ in range(repeats):
        cpu, wall = _spent(call)
        cpu_s.append(cpu)
        wall_s.append(wall)
    return Cost(statistics.median(cpu_s), statistics.median(wall_s), extra_mib(call))


def interleaved(calls: dict[str, Callable[[], object]], rounds: int = 3) -> dict[str, Cost]:
    """Measure calls in turn, after one of each to warm up, and take the best of each: load on the machine
    comes and goes, and so hits all alike."""
    best = {name: (float("inf"), float("inf")) for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            best[name] = tuple(map(min, best[name], _spent(call)))
    return {name: Cost(*best[name], extra_mib(call)) for name, call in calls.items()}


def _spent(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the wall clock; where a GPU works on alone, of the latter twice."""
    on_gpu = torch.cuda.is_initialized()
    if on_gpu:
        torch.cuda.synchronize()
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    if on_gpu:
        torch.cuda.synchronize()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return (wall_s if on_gpu else cpu_s), wall_s


def extra_mib(call: Callable[[], object]) -> float:
    """Peak growth of memory during ``call``, in MiB: of the GPU in use, or resident (NaN without Linux)."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if not _CLEAR.exists():
        return float("nan")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # freed memory that the allocator kept would hide what the call takes
    _CLEAR.write_text("5")  # forget the peak so far
    before = _resident_mib("VmRSS")
    call()
    return _resident_mib("VmHWM") - before


def compare(
    title: str,
    ours: Cost,
    plain: Cost,
    floor: Floor | None = None,
    errors: Sequence[float] = (),
) -> None:
    """Print both costs and how many times less ours is; where a table is made, note them for it as well.

    ``errors`` are those of ours against float64, as shares of the largest value: of the result, then of
    gradients.
    """
    print(f"{title}\n{'':10}{'CPU s':>10}{'wall s':>10}{'MiB':>10}")
    print(f"{'ours':10}{ours.cpu_s:10.4f}{ours.wall_s:10.4f}{ours.extra_mib:10.1f}")
    print(f"{'plain':10}{plain.cpu_s:10.4f}{plain.wall_s:10.4f}{plain.extra_mib:10.1f}")
    ratios = (plain_part / max(our_part, 1e-9) for our_part, plain_part in zip(ours, plain, strict=True))
    print(f"{'ratio':10}" + "".join(f"{ratio:9.1f}x" for ratio in ratios) + "\n")
    if ROWS in os.environ:
        with Path(os.environ[ROWS]).open("a", newline="") as file:
            row = (title, ours.cpu_s, plain.cpu_s, ours.extra_mib, plain.extra_mib, *(floor or (0, 0)))
            row += (" ".join(f"{error:.0e}" for error in errors),)
            csv.writer(file).writerow(row)


def _resident_mib(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def _note_compiling() -> None:
    """Add up what numba compiles in this process; what lies in its cache takes no time."""
    from numba.core import event

    spent = []

    class Outermost(event.TimingListener):
        def on_start(self, event: object) -> None:
            if self._depth == 0:
                self.began = time.process_time()
            super().on_start(event)

        def on_end(self, event: object) -> None:
            super().on_end(event)
            if self._depth == 0:
                spent.append(time.process_time() - self.began)

    event.register("numba:compile", Outermost())
    atexit.register(lambda: Path(os.environ[COMPILE]).write_text(f"{sum(spent)}"))


if COMPILE in os.environ:
    _note_compiling()
