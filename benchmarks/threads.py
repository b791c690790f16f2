"""Two threads against one: how much sooner is the same work done?

    python -m benchmarks.threads [--threads 2] [--only modal strings] [--rounds 7]

The work of ``benchmarks.against``, of this checkout: in a process with one thread and in one with more, in
turn; of both the least wall clock counts. Last column: processor seconds of all threads over those of one.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.against import HERE, Side
from benchmarks.workloads import WORKLOADS


def compare(workload: str, threads: int, rounds: int) -> list[tuple[float, float]]:
    """Least seconds of the processor and of the clock, with one thread and with more."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            stack.enter_context(Side(HERE, workload, Path(folder) / f"{count}.pt", count))
            for count in (1, threads)
        ]
        turns = [[side.seconds() for side in sides] for _ in range(rounds)]
    return [tuple(map(min, zip(*side, strict=True))) for side in zip(*turns, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{'seconds of a call':28}{'1 thread':>10}{args.threads:>8} threads{'faster':>8}{'CPU':>8}")
    for workload in args.only:
        one, more = compare(workload, args.threads, args.rounds)
        print(
            f"{workload:28}{one[1]:10.4f}{more[1]:16.4f}{one[1] / more[1]:8.2f}{more[0] / one[0]:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
