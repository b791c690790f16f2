"""What a training has left behind, told when it ends."""

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from drumblender.callbacks.sounds import run_folder

_LOSS = "validation/loss"


class RunSummary(L.Callback):
    """Knows, after a fit, how far the validation loss fell, where everything lies and what to try next.

    The command line shows its ``rows`` once the progress bar has gone.

    The first loss is that of the sanity check where that covers the whole validation set
    (``num_sanity_val_steps: -1``), so of the untrained model; else that of the first epoch.

    Examples:
        >>> summary = RunSummary()
        >>> trainer = L.Trainer(callbacks=[summary], logger=False)
        >>> summary.losses = [2.0, 1.5]  # what a fit leaves there
        >>> summary.rows(trainer)[0]
        ('validation loss', '2 -> 1.5 (-25 %)')
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self._folder = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._folder = run_folder(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        whole = not trainer.sanity_checking or trainer.num_sanity_val_steps == float("inf")
        if whole and _LOSS in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics[_LOSS]))

    def rows(self, trainer: L.Trainer) -> list[tuple[str, str]]:
        """What is shown: a name and a value each."""
        rows = []
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            change = f" ({100 * (last / first - 1):+.0f} %)" if first > 0 else ""
            rows.append(("validation loss", f"{first:.4g} -> {last:.4g}{change}"))
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
            verb = getattr(trainer.lightning_module, "verb", "synth")
            rows.append(("next", f"drumblender {verb} {checkpoint} in.wav out.wav"))
        return rows


def _checkpoint(trainer: L.Trainer) -> str:
    """The best checkpoint where a callback looks for it, else the newest."""
    saving = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
    watching = [callback for callback in saving if callback.monitor]
    found = [callback.best_model_path for callback in [*watching, *saving] if callback.best_model_path]
    return found[0] if found else ""
