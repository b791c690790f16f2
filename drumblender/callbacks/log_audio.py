"""Sounds in the log."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from drumblender.audio_io import write_wav
from drumblender.callbacks.picture import draw_pairs, pixels
from drumblender.callbacks.sounds import Pair, interleave, pairs_of, run_folder, sample_rate_of

_PICTURED = 4


class LogAudio(L.Callback):
    """Logs what a task makes of the first batches of each epoch: as sound, and as a picture.

    The sound is target, prediction, target, prediction, and so on. TensorBoard and Weights & Biases show
    both under ``<split>/audio`` and ``<split>/picture``. Every run but one of Weights & Biases also keeps the
    newest as ``audio/<split>.wav`` and ``.png`` in its folder, and each sound alone below
    ``audio/<split>/target/`` and ``prediction/``; so a run without any logger has them too. The sanity check
    and a ``fast_dev_run`` log nothing.

    Args:
        on_train: Log the split ``train``.
        on_val: Log the split ``validation``.
        on_test: Log the split ``test``.
        n_batches: Batches of each epoch whose sounds are taken.
        log_on_epoch_end: Log at the end of the epoch, not as soon as the batches are there.
        max_audio_samples: Items logged at most; None for all.
        picture: Draw the first four items.
        every_n_epochs: Train and validation epochs from one log to the next. The last one is always logged,
            and none that it follows sooner.

    Raises:
        ValueError: A count below 1.

    Examples:
        >>> trainer = L.Trainer(callbacks=[LogAudio(on_train=False, every_n_epochs=10)], logger=False)
        >>> sorted(LogAudio(on_train=False).splits)
        ['test', 'validation']
    """

    def __init__(
        self,
        on_train: bool = True,
        on_val: bool = True,
        on_test: bool = True,
        n_batches: int = 1,
        log_on_epoch_end: bool = False,
        max_audio_samples: int | None = 8,
        picture: bool = True,
        every_n_epochs: int = 1,
    ) -> None:
        if min(n_batches, every_n_epochs, 1 if max_audio_samples is None else max_audio_samples) < 1:
            raise ValueError(f"Counts start at 1: {n_batches=}, {max_audio_samples=}, {every_n_epochs=}.")
        wanted = {"train": on_train, "validation": on_val, "test": on_test}
        self.splits = {split for split, on in wanted.items() if on}
        self.n_batches, self.log_on_epoch_end = n_batches, log_on_epoch_end
        self.max_audio_samples, self.picture = max_audio_samples, picture
        self.every_n_epochs = every_n_epochs
        self._pairs: dict[str, list[Pair]] = {}
        self._folder = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._folder = run_folder(trainer) / "audio"

        self._pairs = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._take("train", trainer, pl_module, outputs, batch_idx)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == 0:
            self._take("validation", trainer, pl_module, outputs, batch_idx)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == 0:
            self._take("test", trainer, pl_module, outputs, batch_idx)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("validation", trainer, pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("test", trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("train", trainer, pl_module)

    def _take(
        self, split: str, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch_idx: int
    ) -> None:
        if split not in self.splits or batch_idx >= self.n_batches or not self._active(split, trainer):
            return
        taken = self._pairs.setdefault(split, [])
        left = None if self.max_audio_samples is None else self.max_audio_samples - len(taken)
        taken.extend(pairs_of(outputs, left))
        if batch_idx + 1 == self.n_batches and not self.log_on_epoch_end:
            self._log(split, trainer, pl_module)

    def _active(self, split: str, trainer: L.Trainer) -> bool:
        if not trainer.is_global_zero or trainer.sanity_checking or trainer.fast_dev_run:
            return False
        if split == "test":
            return True
        epoch, unlimited = trainer.current_epoch, trainer.max_epochs in (None, -1)
        left = self.every_n_epochs if unlimited else trainer.max_epochs - 1 - epoch
        return left == 0 or epoch % self.every_n_epochs == 0 and left >= self.every_n_epochs

    def _log(self, split: str, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log what was taken, if anything; an epoch shorter than ``n_batches`` comes here at its end."""
        pairs = self._pairs.pop(split, [])
        if not pairs:
            return
        rate = sample_rate_of(pl_module)
        sound = interleave(pairs)
        picture = pixels(draw_pairs(pairs[:_PICTURED], rate)) if self.picture else None
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                _to_tensorboard(logger, split, sound, picture, rate, trainer.global_step)
            elif isinstance(logger, WandbLogger):
                _to_wandb(logger, split, sound, picture, rate)
        if not trainer.loggers or any(not isinstance(logger, WandbLogger) for logger in trainer.loggers):
            write_wav(self._folder / f"{split}.wav", sound, rate)
            for number, pair in enumerate(pairs):
                for name, single in pair._asdict().items():
                    write_wav(self._folder / split / name / f"{number:02}.wav", single, rate)
            if picture is not None:
                from matplotlib.image import imsave  # slow to import

                imsave(self._folder / f"{split}.png", picture)


def _to_tensorboard(
    logger: TensorBoardLogger, split: str, sound: Tensor, picture: np.ndarray | None, rate: int, step: int
) -> None:
    # TensorBoard stores 16 bits: what is louder than 1 would wrap around.
    logger.experiment.add_audio(f"{split}/audio", sound[None] / sound.abs().max().clamp(min=1), step, rate)
    if picture is not None:
        logger.experiment.add_image(f"{split}/picture", picture, step, dataformats="HWC")


def _to_wandb(logger: WandbLogger, split: str, sound: Tensor, picture: np.ndarray | None, rate: int) -> None:
    import wandb  # an extra

    media = {f"{split}/audio": wandb.Audio(sound.numpy(), caption=f"{split}/audio", sample_rate=rate)}
    if picture is not None:
        media[f"{split}/picture"] = wandb.Image(picture, caption=f"{split}/picture")
    logger.experiment.log(media)
