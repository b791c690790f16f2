"""Weights & Biases: its cache."""

import logging
import shutil
import subprocess

import lightning as L

logger = logging.getLogger(__name__)


class CleanWandbCache(L.Callback):
    """Keeps the cache of Weights & Biases small: every logged sound is copied there.

    Without the ``wandb`` program it says so once and does nothing.

    Args:
        every_n_epochs: Training epochs from one clean-up to the next.
        max_size_in_gb: What may stay.

    Raises:
        ValueError: ``every_n_epochs`` below 1 or a negative size.

    Examples:
        >>> trainer = L.Trainer(callbacks=[CleanWandbCache(max_size_in_gb=0.5)], logger=False)
    """

    def __init__(self, every_n_epochs: int = 1, max_size_in_gb: float = 1.0) -> None:
        if every_n_epochs < 1 or not max_size_in_gb >= 0:
            raise ValueError(
                f"Need every_n_epochs from 1 and a size from 0: {every_n_epochs=}, {max_size_in_gb=}."
            )
        self.every_n_epochs, self.max_size_in_gb = every_n_epochs, max_size_in_gb
        self._running: subprocess.Popen | None = None
        self._warned = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.current_epoch % self.every_n_epochs:
            return
        if self._running is not None and self._running.poll() is None:
            return  # the last one is still at it
        program = shutil.which("wandb")
        if program is None:
            if not self._warned:
                logger.warning("No wandb program is installed: its cache is not cleaned.")
            self._warned = True
            return
        self._running = subprocess.Popen(
            [program, "artifact", "cache", "cleanup", f"{float(self.max_size_in_gb)}GB"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._running is not None:
            self._running.wait()
            self._running = None
