"""This checkout against another commit: is anything slower than it was, and does it compute the same?

    python -m benchmarks.against COMMIT [--only modal strings] [--rounds 7]

Both versions run the same work in processes of their own, one thread each, in turn; the least CPU seconds of
each count. So load on the machine, which comes and goes, hits both alike. The commit is checked out beside,
and gone afterwards. Last column: the largest difference of the results, as a share of their largest value.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from benchmarks.workloads import WORKLOADS

HERE = Path(__file__).resolve().parents[1]
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit."""
    git = ("git", "-C", str(HERE), "worktree")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


class Side:
    """One version at work, in a process of its own that waits to be told."""

    def __init__(self, checkout: Path, workload: str, result: Path, threads: int = 1) -> None:
        script = HERE / "benchmarks" / "workloads.py"
        self.result = result
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(script), workload, str(result)],
            env=os.environ | dict.fromkeys(_THREADS, str(threads)) | {"PYTHONPATH": str(checkout)},
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()  # the first call compiles, and keeps what it computed

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def seconds(self) -> tuple[float, float]:
        """Seconds of the processor and of the clock that one more call takes."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        cpu_s, wall_s = self._answer().split()
        return float(cpu_s), float(wall_s)

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args)} ended without an answer.")
        return line


def compare(workload: str, before: Path, rounds: int) -> tuple[float, float, float]:
    """Least CPU seconds of the other commit and of this checkout, and how far their results lie apart."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            stack.enter_context(Side(checkout, workload, Path(folder) / f"{number}.pt"))
            for number, checkout in enumerate((before, HERE))
        ]
        turns = [[side.seconds()[0] for side in sides] for _ in range(rounds)]
        old, new = (torch.load(side.result, weights_only=True) for side in sides)
    apart = (new - old).abs().max() / old.abs().max() if new.shape == old.shape else torch.tensor(torch.nan)
    return *(min(turn) for turn in zip(*turns, strict=True)), apart.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{'CPU seconds of a call':28}{args.commit[:9]:>10}{'here':>10}{'ratio':>8}{'apart':>10}")
    with checked_out(args.commit) as before:
        for workload in args.only:
            old_s, new_s, apart = compare(workload, before, args.rounds)
            print(f"{workload:28}{old_s:10.4f}{new_s:10.4f}{new_s / old_s:8.3f}{apart:10.1e}", flush=True)


if __name__ == "__main__":
    main()
