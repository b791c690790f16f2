"""Stopping and saving by relative improvement."""

from collections.abc import Callable
from typing import Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor


class RelativeEarlyStopping(EarlyStopping):
    """Stops when a value has not improved by a share of the best so far for ``patience`` validations.

    A loss v improves on the best b when ``(b - v) / b >= min_rel_delta``. Lightning's own rule is absolute,
    so every loss would need another.

    Args:
        monitor: Logged value that is watched.
        patience: Validations without improvement after which the run stops.
        min_rel_delta: Share of the best value that counts as an improvement, at least 0.
        mode: ``"min"`` or ``"max"``.
        check_finite: Stop when the value is NaN or infinite.

    Raises:
        ValueError: ``min_rel_delta`` below 0 or ``patience`` below 1.

    Examples:
        >>> improved = RelativeEarlyStopping(patience=5, min_rel_delta=0.1).monitor_op
        >>> improved(torch.tensor(0.95), torch.tensor(1.0)), improved(torch.tensor(0.85), torch.tensor(1.0))
        (tensor(False), tensor(True))
    """

    def __init__(
        self,
        monitor: str = "validation/loss",
        patience: int = 20,
        min_rel_delta: float = 1e-3,
        mode: Literal["min", "max"] = "min",
        check_finite: bool = True,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience starts at 1, got {patience}.")
        self.min_rel_delta = _checked(min_rel_delta)
        super().__init__(
            monitor,
            min_delta=0.0,
            patience=patience,
            mode=mode,
            check_finite=check_finite,
            strict=False,  # a run may end before its first validation
        )

    @property
    def monitor_op(self) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda value, best: improves(value, best, self.min_rel_delta, self.mode)


class RelativeCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoint by the rule of :class:`RelativeEarlyStopping`.

    A configuration that names it after a ``ModelCheckpoint`` of the same ``filename`` has it instead.

    Args:
        monitor: Logged value that is watched.
        min_rel_delta: Share of the best value that counts as an improvement, at least 0.
        mode: ``"min"`` or ``"max"``.
        filename: Name of the file, without ending.
        dirpath: Folder; by default ``checkpoints/`` in that of the run.

    Examples:
        >>> best = RelativeCheckpoint(min_rel_delta=0.01)
        >>> trainer = L.Trainer(callbacks=[best, RelativeEarlyStopping(patience=5)], logger=False)
        >>> best.monitor, best.filename
        ('validation/loss', 'best')
    """

    def __init__(
        self,
        monitor: str = "validation/loss",
        min_rel_delta: float = 1e-3,
        mode: Literal["min", "max"] = "min",
        filename: str = "best",
        dirpath: str | None = None,
    ) -> None:
        self.min_rel_delta = _checked(min_rel_delta)
        super().__init__(
            dirpath=dirpath,
            filename=filename,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            enable_version_counter=False,
        )

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        if current is None or self.best_model_score is None:
            return super().check_monitor_top_k(trainer, current)
        better = improves(current, self.best_model_score, self.min_rel_delta, self.mode)
        return trainer.strategy.reduce_boolean_decision(bool(better))


def improves(value: Tensor, best: Tensor, min_rel_delta: float, mode: str = "min") -> Tensor:
    """Whether ``value`` beats ``best`` by the share ``min_rel_delta`` of it; any number beats infinity."""
    best = best.to(value.device)
    gain = best - value if mode == "min" else value - best
    enough = (gain > 0) & (gain >= min_rel_delta * best.abs())
    return torch.where(best.isfinite(), enough, value.isfinite())


def _checked(min_rel_delta: float) -> float:
    if not min_rel_delta >= 0:
        raise ValueError(f"min_rel_delta is a share of the best value, at least 0; got {min_rel_delta}.")
    return min_rel_delta
