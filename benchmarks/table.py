"""The table of speed in docs/speed.md, and its first rows in README: each op against its plain formula.

    python -m benchmarks.table [--only modal strings] [--threads 1]

With ``--only`` the other sections of the page stay; each says when and where it was measured. Each benchmark
runs in a process of its own; both versions are measured in it, in turn or one after the other, so the ratios
hold on a machine that others use too. Seconds are of the processor, without compiling.
"""

import argparse
import csv
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.measure import COLUMNS, COMPILE, ROWS, cost

ROOT = Path(__file__).resolve().parents[1]
PAGE, README = ROOT / "docs" / "speed.md", ROOT / "README.md"
MARKS = "<!-- python -m benchmarks.table -->", "<!-- to here -->"
BENCHMARKS = {  # and the row that README shows of each: how its title starts
    "training_step": "training step, ours in float32",
    "modal": "modal bank, batch 4",
    "strings": "resynthesis",
    "harmonic": "",
    "noise": "",
    "recursion": "",
    "resample": "44100 to 48000 Hz",
    "transport": "transport, tones, against sorting",
    "losses": "Multi-resolution",
    "remap": "Snare808",
}
OPTIONS = {"training_step": ("--rounds", "1")}
SIZE = 2048
ABOUT = """
Each op, with its gradients, against its plain formula or a peer in one process: `python -m benchmarks.table`.
Seconds are of the processor, memory is what a call takes beyond its inputs, and compiling is not counted. The
floor is the time of the operations and bytes that nobody can do without, were all of them matrix products and
copies, and how many times that ours takes; a transform or a recursion is never as fast as such a product.
Errors are those of ours against float64, as shares of the largest value: of the result, then of gradients.
"""


class Speed(NamedTuple):
    """What this machine does in a second: products and sums of a product of matrices, bytes of a copy."""

    flop: float
    moved: float


class Row(NamedTuple):
    """One comparison: CPU seconds and memory of ours and of the plain formula, and what neither does without.

    ``flop`` and ``moved`` are 0 where nobody counted them.
    """

    benchmark: str
    title: str
    ours_s: float
    plain_s: float
    ours_mib: float
    plain_mib: float
    flop: float
    moved: float  # bytes
    errors: str

    def line(self, speed: Speed) -> str:
        """As a line of the table, on a machine of that speed."""
        floor_s = max(self.flop / speed.flop, self.moved / speed.moved)
        floor = f"{_seconds(floor_s)}, {self.ours_s / floor_s:.1f}" if floor_s else ""
        return (
            f"| {self.title} | {_seconds(self.ours_s)} | {_seconds(self.plain_s)} | "
            f"**{self.plain_s / max(self.ours_s, 1e-9):.1f}x** | "
            f"{self.ours_mib:.0f} of {self.plain_mib:.0f} | {floor} | {self.errors} |"
        )


class Section(NamedTuple):
    """What one benchmark showed."""

    rows: list[Row]
    compile_s: float

    def text(self, speed: Speed, machine: str) -> str:
        """As it stands on the page."""
        lines = "\n".join(row.line(speed) for row in self.rows)
        return (
            f"{date.today()}, {machine} Compiling, once and with the peers, took {self.compile_s:.1f} s of "
            f"CPU.\n\n{HEAD}\n{lines}"
        )


HEAD = "| | CPU s | plain | ratio | MiB | floor | error |\n|---|---|---|---|---|---|---|"


def section_of(benchmark: str, threads: int) -> Section:
    """Run one benchmark, which notes what it compares, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        noted, compiled = Path(folder) / "rows.csv", Path(folder) / "compiled"
        variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
        variables |= {ROWS: str(noted), COMPILE: str(compiled), "NUMBA_CACHE_DIR": f"{folder}/kernels"}
        command = [sys.executable, "-m", f"benchmarks.{benchmark}", *OPTIONS.get(benchmark, ())]
        environment = os.environ | variables | {"OMP_WAIT_POLICY": "PASSIVE"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        with noted.open(newline="") as file:
            found = list(csv.DictReader(file, fieldnames=COLUMNS))
        compile_s = float(compiled.read_text())
    rows = [
        Row(benchmark, row.pop("title").strip(), errors=row.pop("errors"), **_numbers(row)) for row in found
    ]
    return Section(rows, compile_s)


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items()}


def speed_with(threads: int) -> Speed:
    """The floor that this machine sets."""
    torch.set_num_threads(threads)
    a, b = torch.rand(2, SIZE, SIZE)
    large, room = torch.rand(2, 2**26)  # a clone would measure the pages that it is given
    copied = cost(lambda: room.copy_(large), 3).cpu_s
    return Speed(2 * SIZE**3 / cost(lambda: a @ b, 3).cpu_s, 2 * large.nbytes / copied)


def machine(threads: int, speed: Speed) -> str:
    """This machine in words."""
    return (
        f"{_processor()}, {threads} thread{'s' * (threads > 1)}, Python {platform.python_version()}, "
        f"torch {torch.__version__}; it multiplies float32 matrices at {speed.flop / 1e9:.0f} GFLOP/s and "
        f"copies {speed.moved / 1e9:.1f} GB/s."
    )


def page(sections: dict[str, str]) -> str:
    """The page of all sections, by benchmark."""
    head = " ".join(ABOUT.split())
    others = [name for name in sections if name not in BENCHMARKS]  # written by hand
    ordered = [name for name in BENCHMARKS if name in sections] + others
    return "\n\n".join(["# Speed", head, *(f"## {name}\n\n{sections[name]}" for name in ordered)]) + "\n"


def sections_of(text: str) -> dict[str, str]:
    """The sections of a page that was written before, by benchmark."""
    parts = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {name.strip(): body.strip() for name, _, body in parts}


def summary(sections: dict[str, str]) -> str:
    """The first row of each benchmark that README names, from the sections of the page."""
    chosen = []
    for benchmark, start in BENCHMARKS.items():
        rows = sections.get(benchmark, "").rpartition("|---|\n")[2].splitlines()
        chosen += [row for row in rows if row.startswith(f"| {start}")][:1]
    return "\n".join(["Dates, machines and all rows are in [docs/speed.md](docs/speed.md):\n", HEAD, *chosen])


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.4f}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    speed = speed_with(given.threads)
    kept = sections_of(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    told = machine(given.threads, speed)
    for name in given.only:
        kept[name] = section_of(name, given.threads).text(speed, told)
        PAGE.write_text(page(kept), encoding="utf-8")  # a run that is stopped keeps what it has
    write_summary(kept)


def write_summary(sections: dict[str, str]) -> None:
    """Put the first rows between the marks in README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    README.write_text(f"{before}{MARKS[0]}\n{summary(sections)}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
