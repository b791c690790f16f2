"""Percussion resynthesis: voices that play together (Shier et al., Forum Acusticum 2023)."""

from torch import nn
from torchmetrics import Metric

from drumblender.tasks.base import SynthesisTask
from drumblender.tasks.voices import Voice


class DrumTask(SynthesisTask):
    """Resynthesises drum hits with voices in order: each hears the mix so far and adds to it or replaces it.

    The six configurations of the paper are orders of the same three voices::

        01  modal, noise                        04  modal, transient (replace), noise
        02  modal, transient (replace)          05  modal, transient, noise
        03  modal, noise, transient (replace)   06  modal with learned gains

    Args:
        voices: The voices by name, in the order they join.
        loss, sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.

    Raises:
        ValueError: No voice at all, or the first one needs a mix to hear.
    """

    def __init__(
        self,
        voices: dict[str, Voice],
        loss: nn.Module,
        sample_rate: int,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(voices, loss, sample_rate, metrics, eval_seed)
        self.save_arguments()
