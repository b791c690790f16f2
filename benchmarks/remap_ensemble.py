"""Fifty remapping runs for one epoch: as one ensemble, and each by itself.

Run with ``python -m benchmarks.remap_ensemble``. The drums are made up: 10 of 60 hits, with 5 presets each.
Separate runs are measured in three ways: as the command line starts them (one run, counted fifty times), and
in this process with Lightning, by our kernels and by the formulas as written (five runs, counted ten times).
Ensemble and separate runs render the same hits; an ensemble saves all that is around them.
"""

import logging
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
import numpy as np
import soundfile
import torch

from benchmarks.remap import RATE, plain_features, plain_snare, published_features
from drumblender.controllers import LinearMapping, MappedControls
from drumblender.data import RemapDataModule
from drumblender.features import RMS, CascadingFrameExtractor, SpectralCentroid, SpectralFlatness
from drumblender.shipped import shipped_dir
from drumblender.synths import Snare808
from drumblender.tasks import RemapTask
from experiments.remap.ensemble import Ensemble, Schedule, train
from experiments.remap.members import drum_of, members_of, start_from

DRUMS, HITS, SEED = 10, 60, 3608013887
PRESETS = [
    f"cfg/presets/808_{name}.json" for name in ("snare_1", "snare_2", "snare_3", "open_snare", "noisy_snare")
]
SPLITS = {"val_split": 0.1, "test_split": 0.1, "center_onset": True, "batch_size": 16}


class PlainTask(RemapTask):
    """The same task by the formulas as they are written."""

    def play(self, params, num_samples=None):
        return plain_snare(params, self.synth, RATE)


class PlainFeatures(torch.nn.Module):
    """The same features by the formulas as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.labels, self.receptive_field = published_features().labels, RATE

    def forward(self, audio):
        return plain_features(audio)


def make_drum(folder: Path, seed: int) -> None:
    """Hits of noise and a sine, from soft to loud."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE) / RATE
    folder.mkdir(parents=True)
    for number in range(HITS):
        tone = np.sin(2 * np.pi * rng.uniform(150, 250) * time_s) * np.exp(-time_s / rng.uniform(0.05, 0.2))
        noise = rng.uniform(-1, 1, RATE) * np.exp(-time_s / rng.uniform(0.02, 0.15))
        hit = rng.uniform(0.05, 0.5) * (tone + noise)
        soundfile.write(folder / f"{number:03}.wav", np.concatenate([np.zeros(2000), hit]), RATE)


def data_of(folder: Path) -> RemapDataModule:
    onset = CascadingFrameExtractor([RMS(db=True), SpectralCentroid(RATE), SpectralFlatness()], [1], 256, 256)
    return RemapDataModule(str(folder), published_features(), onset, sample_rate=RATE, **SPLITS)


def parts() -> tuple[LinearMapping, Snare808]:
    return LinearMapping(3, 14, clamp=True, init_std=1e-6), Snare808(RATE, RATE)


def ensemble_epoch(folders: list[Path]) -> None:
    start = start_from(SEED, parts)
    members = members_of([drum_of(data_of(folder), folder.name) for folder in folders], PRESETS, [start])
    train(Ensemble(members, [start], published_features()), Schedule(epochs=1))


def separate_epoch(folder: Path, preset: str, plain: bool) -> None:
    L.seed_everything(SEED, verbose=False)
    mapper, synth = parts()
    controls = MappedControls(mapper, preset)
    if plain:
        task = PlainTask(controls, synth, PlainFeatures(), RATE)
    else:
        task = RemapTask(controls, synth, published_features(), RATE)
    task.configure_optimizers = lambda: torch.optim.Adam(task.mapping.mapper.parameters(), lr=0.005)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(task, datamodule=data_of(folder))


def command_line_epoch(folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of one run of ``drumblender fit``."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    program = "import sys; from drumblender.cli import main; main(sys.argv[1:])"
    settings = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    arguments = ["fit", "-c", str(shipped_dir("cfg") / "remap.yaml"), f"--data.path={folder}", *settings]
    subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder.parent, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - wall


def measured(call) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with TemporaryDirectory() as place:
        folders = [Path(place) / f"drum{number}" for number in range(DRUMS)]
        for seed, folder in enumerate(folders):
            make_drum(folder, seed)
        separate_epoch(folders[0], PRESETS[0], plain=False)  # compiles
        together = measured(lambda: ensemble_epoch(folders))
        print(f"{'':28}{'CPU s':>10}{'wall s':>10}{'ratio':>8}{'ratio':>8}")
        print(f"{'50 as one ensemble':28}{together[0]:10.1f}{together[1]:10.1f}")
        once = command_line_epoch(folders[0])
        _show("50 times drumblender fit", [DRUMS * len(PRESETS) * part for part in once], together)
        for name, plain in (("50 in one process", False), ("50 in one process, plain", True)):
            alone = [measured(lambda: separate_epoch(folders[0], path, plain)) for path in PRESETS]  # noqa: B023
            _show(name, [DRUMS * sum(part) for part in zip(*alone, strict=True)], together)


def _show(name: str, separate: list[float], together: tuple[float, float]) -> None:
    ratios = [alone / both for alone, both in zip(separate, together, strict=True)]
    print(f"{name:28}{separate[0]:10.1f}{separate[1]:10.1f}{ratios[0]:7.1f}x{ratios[1]:7.1f}x")


if __name__ == "__main__":
    main()
