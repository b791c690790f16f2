"""What a task is compared with: sounds that need no training, and the same noise each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
import torch
from torch import Tensor
from torch.func import functional_call

from drumblender.dsp.coloured_noise import coloured_noise
from drumblender.tasks.exchange import exchanged, mean_of_others, of_another
from drumblender.tasks.measures import measured
from drumblender.types import Audio, AudioBatch, Controls


class ComparedTask(L.LightningModule):
    """The part of every task that sets its sound beside what needs no training.

    Attributes:
        sample_rate: Samples a second.
        eval_seed: Draws the noise of :meth:`repeatable`; None leaves it as drawn.
        start: The weights and buffers that the task was built with.
    """

    sample_rate: int
    eval_seed: int | None
    start: dict[str, Tensor]

    every_batch = False
    """Whether each of several processes is given every batch, not only its share of them."""

    def voice_controls(self, batch: AudioBatch) -> dict[str, Controls]:
        """What each voice is played with, by name."""
        raise NotImplementedError

    def render(self, batch: AudioBatch, controls: dict[str, Controls], noise: Tensor | None = None) -> Audio:
        """The mix of the voices, played with these controls."""
        raise NotImplementedError

    @torch.no_grad()
    def baselines(self, batch: AudioBatch) -> dict[str, Audio]:
        """What a model has to beat, none of it trained: the sounds of each, as the batch.

        Silence, coloured noise, the task as it was built, and, where the batch has several items, the mean of
        the controls that were made for the others, and those made for another: if they sound no worse, then
        nothing of the recording was heard. A final task adds what its system can do without training.
        """
        controls = self.voice_controls(batch)
        target = batch["audio"]
        found = {
            "silence": torch.zeros_like(target),
            "coloured noise": coloured_noise(target, sample_rate=self.sample_rate),
            "untrained": self.untrained(batch),
        }
        if len(target) > 1:
            found["mean controls"] = self.render(batch, exchanged(controls, batch, mean_of_others))
            found["controls of another"] = self.render(batch, exchanged(controls, batch, of_another))
        return found

    @torch.no_grad()
    def untrained(self, batch: AudioBatch) -> Audio:
        """What the task made of a batch when it was built."""
        now = dict(self.named_parameters()) | dict(self.named_buffers())  # where and how precise
        start = {name: value.to(now[name]) for name, value in self.start.items() if name in now}
        return functional_call(self, start, (batch,))

    @torch.no_grad()
    def compare(self, batch: AudioBatch, batch_idx: int = 0) -> dict[str, dict[str, Tensor]]:
        """Figures of the ``model`` and of each of its baselines: a value for every item, by measure.

        All are better when smaller; the first decides.
        """
        with self.repeatable(batch_idx):
            sounds = {"model": self(batch)}
        with self.repeatable(batch_idx):
            sounds |= self.baselines(batch)
        target = self.judged(batch["audio"])
        return {
            name: measured(self.judged(sound), target, self.sample_rate) for name, sound in sounds.items()
        }

    def judged(self, audio: Audio) -> Audio:
        """The part of a sound that figures are taken of; a final task leaves out what it was given."""
        return audio

    @contextmanager
    def repeatable(self, batch_idx: int) -> Iterator[None]:
        """Draw noise from ``eval_seed`` within, as validation and test do for this batch."""
        if self.eval_seed is None:
            yield
            return
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.eval_seed + self._number_in_one_process(batch_idx))
            yield

    def _number_in_one_process(self, batch_idx: int) -> int:
        """Which batch this is of all that the processes are dealt in turn: its noise is seeded by that."""
        trainer = self._trainer
        if trainer is None or self.every_batch:
            return batch_idx
        return batch_idx * trainer.world_size + trainer.global_rank
