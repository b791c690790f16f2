"""What a test or a prediction sounds like, in files."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from drumblender.atomic import write_json
from drumblender.audio_io import write_wav
from drumblender.callbacks.baselines import Row, means, rows_of, told, worst, write_baselines
from drumblender.callbacks.controls import write_controls
from drumblender.callbacks.followed import (
    Hits,
    follow_table,
    follow_told,
    hits_of,
    joined,
    widened,
    write_followed,
)
from drumblender.callbacks.item_metrics import gather, measure, write_metrics
from drumblender.callbacks.sounds import pairs_of, run_folder, sample_rate_of
from drumblender.types import ComparesBaselines, FollowsFeatures, MakesControls

_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 120
TESTED = "tested.json"
"""In the folder of a test: which checkpoint was tested, for who looks for the tests of a run."""


class ExportWavs(L.Callback):
    """Writes each item of a test or a prediction as ``target/<name>.wav`` and ``pred/<name>.wav``.

    A step that has no target sounds, such as that of a remapping, gets ``pred/`` alone.

    The folders hold nothing else, as tools that compare two sets of sounds (KAD) ask for. A test also writes
    ``tested.json``, which tells the checkpoint, ``metrics.csv``, a row for each item with its name, every
    metric of the task that has a value per item and what the step returns as ``item_metrics``, and
    ``metrics_mean.csv``, what the test logs under the same
    names: means over items, but for a metric that is taken over the batch (``mss_sc`` of the paper) the mean
    over batches. Where the task knows what needs no training, ``baselines.csv`` has its means beside the
    model's, and ``baselines_items.csv`` every item. Where it follows features (remap), ``features.csv`` and
    ``features.png`` say of each how well, and how far its synth could go.

    Items are named as ``batch["file"]`` or ``batch["name"]`` says, else by batch and place. Under several
    processes each writes its own items, whose names then end in the number of the process.

    Args:
        output_dir: Where the folders go; by default ``test/`` or ``predict/`` in the folder of the run.
        max_items: Items whose sounds each process writes at most; None for all. The metrics are of all items.
        voices: Write each voice of a test as ``voices/<voice>/<name>.wav`` as well, where there are several.
        controls: Write what each item of a test is played with, in real units, as ``controls/<name>.npz``.
        baselines: Compare the model with what needs no training, on all items of a test.

    Raises:
        ValueError: ``max_items`` below 1.
        FileExistsError: At the start of the run, where ``output_dir`` holds sounds of another one.

    Examples:
        >>> export = ExportWavs("heard", max_items=10)  # heard/target/*.wav and heard/pred/*.wav
        >>> trainer = L.Trainer(callbacks=[export], logger=False)
    """

    def __init__(
        self,
        output_dir: str | None = None,
        max_items: int | None = None,
        voices: bool = False,
        controls: bool = False,
        baselines: bool = True,
    ) -> None:
        if max_items is not None and max_items < 1:
            raise ValueError(f"max_items starts at 1, got {max_items}; None writes all.")
        self.output_dir, self.max_items = output_dir, max_items
        self.voices, self.controls, self.baselines = voices, controls, baselines
        self.folder = Path()
        self._names: set[str] = set()
        self._rows: list[dict[str, Any]] = []
        self._compared: list[Row] = []
        self._followed: list[Hits] = []
        self._features: list[dict[str, Any]] = []

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start("test", trainer)
        if trainer.is_global_zero and trainer.ckpt_path:
            checkpoint = Path(trainer.ckpt_path).resolve()
            write_json(self.folder / TESTED, {"checkpoint": str(checkpoint)})

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start("predict", trainer)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.global_rank and getattr(pl_module, "every_batch", False):
            return  # the first process has the same
        names = self._write(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)
        self._rows += measure(pl_module, outputs, names)
        if self.voices and names:
            self._write_voices(pl_module, batch, batch_idx, names)
        if self.controls and names and isinstance(pl_module, MakesControls):
            self._write_controls(trainer, pl_module, batch, names)
        if self.baselines and isinstance(pl_module, ComparesBaselines) and names:
            batch = trainer.precision_plugin.convert_input(batch)
            with trainer.precision_plugin.forward_context():  # as in a step
                compared = pl_module.compare(batch, batch_idx)
            self._compared += rows_of(compared, names)
        if self.baselines and isinstance(pl_module, FollowsFeatures) and names:
            searched = sum(len(part.wanted) for part in self._followed)
            self._followed.append(hits_of(pl_module, outputs, batch, searched))

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._write(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        rows, compared = gather(self._rows, trainer), gather(self._compared, trainer)
        followed = gather(self._followed, trainer)
        if trainer.is_global_zero and followed:
            hits = joined(followed)
            reach = widened(pl_module.reach(), hits)
            self._features = follow_table(pl_module, hits, reach)
            write_followed(self.folder, pl_module, self._features, hits, reach)
        if trainer.is_global_zero and compared:
            write_baselines(self.folder / "baselines.csv", compared)
        if trainer.is_global_zero and rows:
            write_metrics(self.folder, rows, trainer)

    def rows(self) -> list[tuple[str, str]]:
        """Where everything went, and the means: a name and a value each; nothing before a test has ended."""
        rows = [("sounds", str(self.folder))] if self._names else []
        if self._rows:
            rows.append(("metrics of each item", str(self.folder / "metrics.csv")))
        if self._compared:
            rows += told(means(self._compared))
            rows += [
                ("worst", f"{value:.4g}  {self.folder / 'pred' / name}.wav")
                for name, value in worst(self._compared)
            ]
        if self._features:
            rows += [("features", str(self.folder / "features.csv and .png")), *follow_told(self._features)]
        if rows:
            run = self.folder if self.output_dir else self.folder.parent
            rows.append(("next", f"drumblender report {shlex.quote(str(run))}"))
        return rows

    def _write_voices(
        self, module: L.LightningModule, batch: Any, batch_idx: int, names: Sequence[str]
    ) -> None:
        if len(module.voices) < 2:
            return
        with torch.no_grad(), module.repeatable(batch_idx):
            stems = module.stems(batch)
        for voice, sounds in stems.items():
            for name, sound in zip(names, sounds.detach().float().cpu(), strict=True):
                if (self.folder / "pred" / f"{name}.wav").is_file():
                    path = self.folder / "voices" / safe_name(voice) / f"{name}.wav"
                    write_wav(path, sound, sample_rate_of(module))

    def _write_controls(
        self, trainer: L.Trainer, module: MakesControls, batch: Any, names: Sequence[str]
    ) -> None:
        written = self.max_items is None or all((self.folder / "pred" / f"{n}.wav").is_file() for n in names)
        if written:
            with trainer.precision_plugin.forward_context():  # as in a step
                batch = trainer.precision_plugin.convert_input(batch)
                write_controls(module, batch, names, self.folder / "controls")

    def _start(self, stage: str, trainer: L.Trainer) -> None:
        default = run_folder(trainer) / stage  # asked for by all processes
        self.folder = Path(self.output_dir) if self.output_dir else default
        self._names, self._rows, self._compared = set(), [], []
        self._followed, self._features = [], []
        if trainer.is_global_zero and any(self.folder.glob("pred/*.wav")):
            raise FileExistsError(
                f"{self.folder} holds the sounds of another run, which would mix with these. "
                "Remove them, or give another output_dir."
            )
        trainer.strategy.barrier("sounds of another run")

    def _write(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> list[str]:
        sounds = _sounds(outputs)
        given = (batch.get("file") or batch.get("name")) if isinstance(batch, Mapping) else None
        place = f"{batch_idx:05d}" if dataloader_idx == 0 else f"{dataloader_idx}-{batch_idx:05d}"
        wanted = list(given) if given else [f"{place}-{index:02d}" for index in range(len(sounds))]
        suffix = f"-r{trainer.global_rank}" if trainer.world_size > 1 else ""
        names = []
        for folders, name in zip(sounds, wanted, strict=True):
            name = self._unused(safe_name(name) + suffix)
            if self.max_items is None or len(self._names) <= self.max_items:
                for folder, sound in folders.items():
                    write_wav(self.folder / folder / f"{name}.wav", sound, sample_rate_of(pl_module))
            names.append(name)
        return names

    def _unused(self, name: str) -> str:
        number, unused = 1, name
        while unused.lower() in self._names:  # some file systems do not tell case apart
            number += 1
            unused = f"{name}-{number}"
        self._names.add(unused.lower())
        return unused


def safe_name(name: str) -> str:
    """A file name without its folders and ending, of letters, digits, ``_``, ``-`` and ``.`` only."""
    stem = re.sub(r"\.(wav|flac|aiff?|ogg|mp3)$", "", str(name).replace("\\", "/"), flags=re.IGNORECASE)
    return _UNSAFE.sub("_", stem.strip("/")).strip("._")[:_LONGEST] or "item"


def _sounds(outputs: Any) -> list[dict[str, Tensor]]:
    """For each item its sounds, by the folder they go to."""
    if pairs := pairs_of(outputs):
        return [{"target": pair.target, "pred": pair.prediction} for pair in pairs]
    if not isinstance(outputs, Mapping) or "target" in outputs:
        return []
    prediction = outputs.get("prediction")
    if not isinstance(prediction, Tensor) or prediction.ndim != 2:
        return []
    return [{"pred": sound} for sound in prediction.detach().float().cpu()]
