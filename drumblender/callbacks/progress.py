"""How far a training is: a bar on a terminal, lines with the time left in a file."""

import logging
import time

import lightning as L
from lightning.pytorch.callbacks import RichModelSummary, RichProgressBar
from lightning.pytorch.utilities.model_summary import get_human_readable_count

_LOSSES = {"train/loss_epoch": "training loss", "validation/loss": "validation loss"}
_log = logging.getLogger(__name__)


class TrainingBar(RichProgressBar):
    """Lightning's bar, which names the last epoch where there is one: ``Epoch 3/16``, else ``Epoch 3``.

    Examples:
        >>> trainer = L.Trainer(callbacks=[TrainingBar()], logger=False)
    """

    def _get_train_description(self, current_epoch: int) -> str:
        limit = self.trainer.max_epochs
        described = f"Epoch {current_epoch + 1}" + (f"/{limit}" if limit and limit > 0 else "")
        return described.ljust(len(self.validation_description))


class ProgressLines(L.Callback):
    """Logs a line at the end of an epoch, at most one in ``every_s`` seconds: loss, and the time left.

    Args:
        every_s: Seconds from one line to the next; the first and the last epoch always have one.

    Examples:
        >>> lines = ProgressLines(every_s=60)
        >>> trainer = L.Trainer(callbacks=[lines], enable_progress_bar=False, logger=False)
    """

    def __init__(self, every_s: float = 10.0) -> None:
        if every_s < 0:
            raise ValueError(f"every_s is seconds from one line to the next, got {every_s}.")
        self.every_s = every_s
        self._began = self._told = 0.0
        self._first = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began, self._told, self._first = time.monotonic(), 0.0, trainer.current_epoch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now, done = time.monotonic(), trainer.current_epoch + 1
        limit = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
        if not trainer.is_global_zero or (self._told and now - self._told < self.every_s and done != limit):
            return
        self._told = now
        known = trainer.callback_metrics
        shown = [f"{name} {float(known[key]):.4g}" for key, name in _LOSSES.items() if key in known]
        if limit is not None and done < limit:
            shown.append(f"{time_left((now - self._began) / (done - self._first) * (limit - done))} left")
        _log.info("%s", ", ".join([f"epoch {done}" + (f"/{limit}" if limit else ""), *shown]))


class TimeEstimate(L.Callback):
    """Tells after the first steps about how long the training will take, from the time of a step.

    The first steps compile and warm up; they are left out.

    Args:
        warm_up: Steps that are left out.
        steps: Steps that are timed.

    Raises:
        ValueError: A count out of range.

    Examples:
        >>> trainer = L.Trainer(callbacks=[TimeEstimate(steps=10)], logger=False)
    """

    def __init__(self, warm_up: int = 3, steps: int = 5) -> None:
        if warm_up < 0 or steps < 1:
            raise ValueError(f"Need warm_up from 0 and steps from 1, got {warm_up=}, {steps=}.")
        self.warm_up, self.steps = warm_up, steps
        self._done, self._began = 0, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._done, self._began = 0, time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        self._done += 1
        if self._done == self.warm_up:
            self._began = time.monotonic()
        left = batches_left(trainer)
        if self._done != self.warm_up + self.steps or left is None or not trainer.is_global_zero:
            return
        step_s = (time.monotonic() - self._began) / self.steps
        _log.info("about %s of training: %d batches, %.2g s each", time_left(step_s * left), left, step_s)


def batches_left(trainer: L.Trainer) -> int | None:
    """Training batches from here to the last epoch or step; None where nothing ends the training."""
    per_epoch = trainer.num_training_batches
    ends = []
    if trainer.max_epochs is not None and trainer.max_epochs > 0 and per_epoch != float("inf"):
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        ends.append(int(per_epoch) * (trainer.max_epochs - trainer.current_epoch) - done)
    if trainer.max_steps > 0:
        ends.append((trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches)
    return min(ends, default=None)


class PartSizes(RichModelSummary):
    """Tells how many parameters the parts of a model have, on one line.

    Examples:
        >>> trainer = L.Trainer(callbacks=[PartSizes(max_depth=1)], logger=False)
    """

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        *args: object,
        **kwargs: object,
    ) -> None:
        columns = dict(summary_data)
        sizes = [
            f"{name} {size.strip()}"
            for name, size in zip(columns.get("Name", []), columns.get("Params", []), strict=False)
            if size.strip() not in ("", "0", "--")
        ]
        fixed = total_parameters - trainable_parameters
        total = get_human_readable_count(total_parameters).strip()
        told = f" ({get_human_readable_count(fixed).strip()} of them fixed)" if fixed else ""
        _log.info("%s parameters%s: %s", total, told, ", ".join(sizes) or "none in any part")


def time_left(seconds: float) -> str:
    """About how long, in words: ``40 s``, ``12 min``, ``3.5 h``.

    Examples:
        >>> time_left(700)
        '12 min'
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
