"""What a training has left behind, told when it ends."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from drumblender.callbacks.baselines import Row, means, rows_of, told, write_baselines
from drumblender.callbacks.sounds import run_folder
from drumblender.types import ComparesBaselines, PlayedByVerb

_LOSS = "validation/loss"


class RunSummary(L.Callback):
    """Knows, after a fit, how far the validation loss fell, whether the model beats what needs no training,
    where everything lies and what to try next.

    The command line shows its ``rows`` once the progress bar has gone. The figures of model and baselines go
    to ``baselines.csv`` in the folder of the run.

    The first loss is that of the sanity check where that covers the whole validation set
    (``num_sanity_val_steps: -1``), so of the untrained model; else that of the first epoch.

    Args:
        compared: Items of the validation set that model and baselines are compared on; 0: none.

    Raises:
        ValueError: ``compared`` below 0.

    Examples:
        >>> summary = RunSummary()
        >>> trainer = L.Trainer(callbacks=[summary], logger=False)
        >>> summary.losses = [2.0, 1.5]  # what a fit leaves there
        >>> summary.rows(trainer)[0]
        ('validation loss', '2 -> 1.5 (-25 %)')
    """

    def __init__(self, compared: int = 32) -> None:
        if compared < 0:
            raise ValueError(f"compared is a number of items, got {compared}; 0 compares none.")
        self.compared = compared
        self.figures: dict[str, dict[str, float]] = {}
        self.losses: list[float] = []
        self._folder = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._folder = run_folder(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        whole = not trainer.sanity_checking or trainer.num_sanity_val_steps == float("inf")
        if whole and _LOSS in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics[_LOSS]))

    @torch.no_grad()
    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run or not isinstance(pl_module, ComparesBaselines):
            return
        training = pl_module.training
        pl_module.eval()
        rows = self._compare(trainer, pl_module)
        pl_module.train(training)
        if rows:
            write_baselines(self._folder / "baselines.csv", rows)
            self.figures = means(rows)

    def _compare(self, trainer: L.Trainer, module: L.LightningModule) -> list[Row]:
        rows: list[Row] = []
        loaders = trainer.val_dataloaders
        for number, batch in enumerate([] if loaders is None else loaders):
            if not isinstance(batch, Mapping) or len({row["name"] for row in rows}) >= self.compared:
                break
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            with trainer.precision_plugin.forward_context():  # as in a step
                compared = module.compare(batch, number)
            count = len(next(iter(compared["model"].values())))
            names = batch.get("file") or batch.get("name") or [f"{number:05d}-{i:02d}" for i in range(count)]
            rows += rows_of(compared, names)
        return rows

    def rows(
        self, trainer: L.Trainer, trust: Sequence[str] = (), where: Path | None = None
    ) -> list[tuple[str, str]]:
        """What is shown: a name and a value each.

        Args:
            trainer: After the fit.
            trust: Modules that the command which plays the checkpoint has to trust.
            where: The folder in which Python finds them, where that has to be told.
        """
        rows = []
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            change = f" ({100 * (last / first - 1):+.0f} %)" if first > 0 else ""
            rows.append(("validation loss", f"{first:.4g} -> {last:.4g}{change}"))
        rows += told(self.figures)
        checkpoint = _checkpoint(trainer)
        if checkpoint:
            rows.append(("checkpoint", checkpoint))
        rows.append(("configuration", str(self._folder / "config.yaml")))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                rows.append(
                    ("TensorBoard log", f"{logger.log_dir}   (tensorboard --logdir {logger.root_dir})")
                )
        audio = self._folder / "audio"
        for name, path in (
            ("targets and predictions", audio / "validation"),
            ("picture", audio / "validation.png"),
        ):
            if path.exists():
                rows.append((name, str(path)))
        if checkpoint:
            task = trainer.lightning_module
            if isinstance(task, PlayedByVerb):
                takes = task.verb_takes.format(checkpoint=shlex.quote(checkpoint))
                found = f"PYTHONPATH={shlex.quote(str(where))} " if where else ""
                options = "".join(f" --trust {module}" for module in trust)
                rows.append(("next", f"{found}drumblender {task.verb} {takes}{options}"))
        return rows


def _checkpoint(trainer: L.Trainer) -> str:
    """The best checkpoint where a callback looks for it, else the newest."""
    saving = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
    watching = [callback for callback in saving if callback.monitor]
    found = [callback.best_model_path for callback in [*watching, *saving] if callback.best_model_path]
    return found[0] if found else ""
