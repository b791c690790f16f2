"""What goes wrong in a long run: kills, a full disk, a damaged checkpoint. Prints tried and fine.

``python -m benchmarks.faults [--kills N]`` trains a tiny model in a scratch folder and never outside it. The
full disk is a limit on the size of a file, which the system answers as it answers a disk without room.
"""

import argparse
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
from pathlib import Path

import torch

CONFIG = Path(__file__).parents[1] / "tests" / "tiny.yaml"
EPOCHS = 4
LAST = Path("logs/tiny/version_0/checkpoints/last.ckpt")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "drumblender", "fit", "-c", str(CONFIG), *options]


def train(
    folder: Path, *options: str, epochs: int = EPOCHS, **settings: object
) -> subprocess.CompletedProcess:
    args = command(f"--trainer.max_epochs={epochs}", *options)
    return subprocess.run(args, cwd=folder, capture_output=True, text=True, check=False, **settings)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / LAST, weights_only=True)["state_dict"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def fresh(root: Path, name: str, data: Path) -> Path:
    folder = root / name
    folder.mkdir()
    shutil.copytree(data, folder / "drums")
    return folder


def killed(root: Path, data: Path, wanted: dict[str, torch.Tensor], number: int) -> bool:
    """Kill a run some time after its first checkpoint, resume it, and compare the weights."""
    folder = fresh(root, f"kill-{number}", data)
    args = command(f"--trainer.max_epochs={EPOCHS}")
    run = subprocess.Popen(args, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / LAST).exists() and run.poll() is None:
        time.sleep(0.01)
    time.sleep(random.Random(number).random() * 1.5)
    run.send_signal(signal.SIGKILL)
    run.wait()
    torch.load(folder / LAST, weights_only=True)  # whole, whenever the run was killed
    done = train(folder, "--resume")
    return done.returncode == 0 and equal(weights(folder), wanted)


def interrupted(root: Path, data: Path, sent: signal.Signals) -> bool:
    """Ctrl+C and SIGTERM end with the hint and a checkpoint that goes on."""
    folder = fresh(root, sent.name, data)
    args = command("--trainer.max_epochs=10000")
    run = subprocess.Popen(args, cwd=folder, stderr=subprocess.PIPE, text=True)
    while not (folder / LAST).exists() and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(sent)
    _, told = run.communicate()
    return run.returncode == 130 and "--resume" in told and "Traceback" not in told


def full_disk(root: Path, data: Path, size: int) -> bool:
    """A checkpoint that does not fit leaves the one before it whole, and one sentence."""
    folder = fresh(root, f"full-{size}", data)
    if train(folder, epochs=1).returncode:
        return False
    before = weights(folder)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = train(folder, "--resume", preexec_fn=limit)
    parts = list(folder.rglob("*.part"))
    return (
        done.returncode == 1
        and "Traceback" not in done.stderr
        and not parts
        and equal(before, weights(folder))
    )


def damaged(root: Path, data: Path, size: int) -> bool:
    """A last checkpoint cut to ``size`` bytes is named, with the other that is whole."""
    folder = fresh(root, f"cut-{size}", data)
    train(folder, epochs=1)
    with (folder / LAST).open("rb+") as file:
        file.truncate(size)
    done = train(folder, "--resume")
    return done.returncode == 1 and "last.ckpt is damaged" in done.stderr and "best.ckpt" in done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=4, help="runs that are killed")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        root = Path(name)
        whole = root / "whole"
        whole.mkdir()
        if train(whole).returncode:
            sys.exit("The run that is not disturbed fails.")
        data, wanted = whole / "drums", weights(whole)
        cases: dict[str, list[Callable[[], bool]]] = {
            "killed and resumed: equal weights": [
                lambda number=number: killed(root, data, wanted, number) for number in range(given.kills)
            ],
            "interrupted: saved and told": [
                lambda sent=sent: interrupted(root, data, sent) for sent in (signal.SIGINT, signal.SIGTERM)
            ],
            "no room: the old checkpoint stays": [
                lambda size=size: full_disk(root, data, size) for size in (4096, 20_000)
            ],
            "damaged: the other is offered": [
                lambda size=size: damaged(root, data, size) for size in (0, 999)
            ],
        }
        fine = 0
        for title, tries in cases.items():
            good = sum(attempt() for attempt in tries)
            fine += good == len(tries)
            print(f"{title}: tried {len(tries)}, fine {good}", flush=True)
    return 0 if fine == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
