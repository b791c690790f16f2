"""What goes wrong in a long run: kills, a full disk, a damaged checkpoint, several processes. Prints tried
and fine.

``python -m benchmarks.faults [--kills N]`` trains a tiny model in a scratch folder and never outside it. A
checkpoint meets a full disk as a limit on the size of a file, which the system answers as it answers a disk
without room; a preparation meets a disk of its own, 300 kB of memory, where one may be mounted.
"""

import argparse
import csv
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch

CONFIG = Path(__file__).parents[1] / "tests" / "tiny.yaml"
EPOCHS = 3
LAST = Path("logs/tiny/version_0/checkpoints/last.ckpt")
FIRST_S = 300.0  # for a first checkpoint, on a busy machine


@dataclass
class Run:
    """A run of the command line in a process of its own, which starts with everything imported."""

    process: ForkProcess
    folder: Path

    def ended(self) -> tuple[int, str]:
        """Its exit status, and what it told on stderr."""
        self.process.join()
        return self.process.exitcode, (self.folder / "stderr").read_text()

    def has_saved(self) -> bool:
        """Wait for the first checkpoint; False when it ends without one."""
        began = time.monotonic()
        while not (self.folder / LAST).exists():
            if not self.process.is_alive() or time.monotonic() - began > FIRST_S:
                return False
            time.sleep(0.01)
        return True


def start(
    folder: Path, *options: str, verb: str = "fit", epochs: int = EPOCHS, largest_file: int | None = None
) -> Run:
    def train() -> None:
        from drumblender.cli import run

        os.chdir(folder)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        status = run([verb, "-c", str(CONFIG), f"--trainer.max_epochs={epochs}", *options])
        sys.stderr.flush()
        os._exit(status)

    process = multiprocessing.get_context("fork").Process(target=train)
    process.start()
    return Run(process, folder)


def train(folder: Path, *options: str, epochs: int = EPOCHS, largest_file: int | None = None):
    return start(folder, *options, epochs=epochs, largest_file=largest_file).ended()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / LAST, weights_only=True)["state_dict"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def fresh(root: Path, name: str, begun: Path) -> Path:
    """A copy of a folder in which one epoch was trained."""
    return Path(shutil.copytree(begun, root / name))


def killed(root: Path, begun: Path, wanted: dict[str, torch.Tensor], number: int) -> bool:
    """Kill a run some time after its first checkpoint, resume it, and compare the weights."""
    folder = fresh(root, f"kill-{number}", begun)
    shutil.rmtree(folder / "logs")
    run = start(folder)
    if not run.has_saved():
        return False
    time.sleep(random.Random(number).random() * 1.5)
    run.process.kill()
    run.ended()
    torch.load(folder / LAST, weights_only=True)  # whole, whenever the run was killed
    status, _ = train(folder, "--resume")
    return status == 0 and equal(weights(folder), wanted)


def interrupted(root: Path, begun: Path, sent: signal.Signals) -> bool:
    """Ctrl+C and SIGTERM end with the hint and a checkpoint that goes on."""
    folder = fresh(root, sent.name, begun)
    shutil.rmtree(folder / "logs")
    run = start(folder, epochs=10_000)
    if not run.has_saved():
        return False
    os.kill(run.process.pid, sent)
    status, told = run.ended()
    return status == 130 and "--resume" in told and "Traceback" not in told


def full_disk(root: Path, begun: Path, size: int) -> bool:
    """A checkpoint that does not fit leaves the one before it whole, and one sentence."""
    folder = fresh(root, f"full-{size}", begun)
    before = weights(folder)
    status, told = train(folder, "--resume", largest_file=size)
    parts = list(folder.rglob("*.part"))
    return status == 1 and "Traceback" not in told and not parts and equal(before, weights(folder))


def damaged(root: Path, begun: Path, size: int) -> bool:
    """A last checkpoint cut to ``size`` bytes is named, with the other that is whole."""
    folder = fresh(root, f"cut-{size}", begun)
    with (folder / LAST).open("rb+") as file:
        file.truncate(size)
    status, told = train(folder, "--resume")
    return status == 1 and "last.ckpt is damaged" in told and "best.ckpt" in told


def small_disk(root: Path) -> bool:
    """Preparing sounds on a disk without room ends in one sentence, and goes on once there is room."""
    folder = root / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", folder], check=False).returncode:
        sys.exit("A small disk needs the right to mount one: run as root, or with --no-disk.")
    try:
        status, told = train(folder, epochs=1)
        subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
        again, _ = train(folder, epochs=1)
        lines = [line for line in told.splitlines() if line.startswith("drumblender: ")]
        return status == 1 and len(lines) == 1 and "The disk is full (drums/" in lines[0] and again == 0
    finally:
        subprocess.run(["umount", folder], check=True)


def figures(folder: Path, *options: str) -> dict[str, float]:
    """What a test of the last checkpoint says."""
    status, told = start(folder, *options, f"--ckpt_path={LAST}", verb="test", epochs=1).ended()
    if status:
        raise RuntimeError(told)
    (table,) = folder.glob("logs/*/version_*/test/metrics_mean.csv")
    with table.open() as file:
        (row,) = csv.DictReader(file)
    return {name: float(value) for name, value in row.items()}


def in_two_processes(root: Path, begun: Path) -> bool:
    """A test in two processes has the numbers of one."""
    one = figures(fresh(root, "one", begun))
    two = figures(fresh(root, "two", begun), "--trainer.devices=2", "--trainer.strategy=ddp_fork")
    return one.keys() == two.keys() and all(math.isclose(one[key], two[key], rel_tol=1e-6) for key in one)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=2, help="runs that are killed")
    parser.add_argument("--no-disk", action="store_true", help="leave out the small disk, which is mounted")
    given = parser.parse_args()
    import drumblender.lightning_cli  # noqa: F401 once, for all that are started

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        root = Path(name)
        begun = root / "begun"
        begun.mkdir()
        whole = root / "whole"
        if train(begun, epochs=1)[0] or train(fresh(root, "whole", begun), "--resume")[0]:
            sys.exit("The run that is not disturbed fails.")
        wanted = weights(whole)
        cases: dict[str, list[Callable[[], bool]]] = {
            "killed and resumed: equal weights": [
                lambda number=number: killed(root, begun, wanted, number) for number in range(given.kills)
            ],
            "interrupted: saved and told": [
                lambda sent=sent: interrupted(root, begun, sent) for sent in (signal.SIGINT, signal.SIGTERM)
            ],
            "no room: the old checkpoint stays": [
                lambda size=size: full_disk(root, begun, size) for size in (4096, 20_000)
            ],
            "damaged: the other is offered": [
                lambda size=size: damaged(root, begun, size) for size in (0, 999)
            ],
            "a test in two processes: equal numbers": [lambda: in_two_processes(root, begun)],
        }
        if not given.no_disk:
            cases["no room for prepared sounds: told, and goes on"] = [lambda: small_disk(root)]
        fine = 0
        for title, tries in cases.items():
            good = sum(attempt() for attempt in tries)
            fine += good == len(tries)
            print(f"{title}: tried {len(tries)}, fine {good}", flush=True)
    return 0 if fine == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
