"""Fifty remapping runs for one epoch: as one ensemble, and each by itself.

Run with ``python -m benchmarks.remap_ensemble``. The drums are made up: 10 of 60 hits, each with 5 presets. A
separate run reads its hits, builds its task and trains it with Lightning, in this process; those of the first
drum are measured and counted ten times. ``with --plain`` the separate steps use the formulas as written.
"""

import argparse
import logging
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
import numpy as np
import soundfile
import torch

from benchmarks.remap import RATE, plain_features, plain_snare, published_features
from drumblender.data import RemapDataModule
from drumblender.encoders import LinearMapping
from drumblender.features import RMS, CascadingFrameExtractor, SpectralCentroid, SpectralFlatness
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
        self.labels, self.reach = published_features().labels, RATE

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
    if plain:
        task = PlainTask(*parts(), PlainFeatures(), RATE, preset)
    else:
        task = RemapTask(*parts(), published_features(), RATE, preset)
    task.configure_optimizers = lambda: torch.optim.Adam(task.mapper.parameters(), lr=0.005)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(task, datamodule=data_of(folder))


def measured(call) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", action="store_true", help="also separate runs by the plain formulas")
    plain_too = parser.parse_args().plain
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with TemporaryDirectory() as place:
        folders = [Path(place) / f"drum{number}" for number in range(DRUMS)]
        for seed, folder in enumerate(folders):
            make_drum(folder, seed)
        separate_epoch(folders[0], PRESETS[0], plain=False)  # compiles
        together = measured(lambda: ensemble_epoch(folders))
        print(f"{'':22}{'CPU s':>10}{'wall s':>10}{'ratio':>8}{'ratio':>8}")
        print(f"{'50 as one ensemble':22}{together[0]:10.1f}{together[1]:10.1f}")
        for name, plain in (("50 separate runs", False), ("50 separate, plain", True))[: 1 + plain_too]:
            alone = measured(
                lambda plain=plain: [separate_epoch(folders[0], path, plain) for path in PRESETS]
            )
            cpu, wall = (DRUMS * part for part in alone)
            print(f"{name:22}{cpu:10.1f}{wall:10.1f}{cpu / together[0]:7.1f}x{wall / together[1]:7.1f}x")


if __name__ == "__main__":
    main()
