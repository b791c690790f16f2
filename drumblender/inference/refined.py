"""A model's controls of one recording, taken further by descent on that recording alone."""

from typing import NamedTuple

import torch
from torch import Tensor

from drumblender.controllers import AnalysedControls
from drumblender.matching.refine import refine
from drumblender.synths.base import has_unit
from drumblender.tasks import SynthesisTask
from drumblender.tasks.measures import measured
from drumblender.types import Audio, AudioBatch, Controls

STEP_DB = 1.8
STEP_LOGIT = 0.03
STEP_SHARE = 0.02  # of its own deviation, for a control that has no range


class Gain(NamedTuple):
    """What refinement was worth: the MR-STFT distance before and after, with the same noise."""

    before: float
    after: float

    def __str__(self) -> str:
        change = 100 * (self.after / self.before - 1) if self.before > 0 else 0.0
        return f"MR-STFT {self.before:.4g} -> {self.after:.4g} ({change:+.1f} %)"


def refined_controls(
    task: SynthesisTask, batch: AudioBatch, steps: int, seed: int = 0
) -> tuple[dict[str, Controls], Gain]:
    """The controls of every voice after some steps of Adam, and what that gained.

    Controls that the data bring (a pitch, modes), that are played as an analysis measured them, or that are
    in a unit other than decibels, stay; levels move by about 1.8 dB a step, controls in (0, 1) by their
    logit. Noise is drawn anew in each step, so that levels are fitted and not a draw. Where the descent led
    away from the recording, the controls are those that it began with.

    Args:
        task: Trained, in eval mode.
        batch: One recording, with all fields that the task hears.
        steps: How often to step.
        seed: Of the noise that both figures are taken with.

    Raises:
        ValueError: No control may move, or ``steps`` below 1.
    """
    with torch.no_grad():
        made = task.voice_controls(batch)
    flat, sizes = _start(task, batch, made)
    if not sizes:
        raise ValueError("Nothing to refine: every control comes with the recording, or is in a fixed unit.")

    def spread(values: Controls) -> dict[str, Controls]:
        shaped = {key: _back(task, key, value) for key, value in values.items() if key in sizes}
        return {
            voice: {name: shaped.get(f"{voice}/{name}", value) for name, value in controls.items()}
            for voice, controls in made.items()
        }

    with torch.enable_grad(), torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        found = refine(
            flat,
            lambda values: task.render(batch, spread(values)),
            batch["audio"],
            task.loss,
            step_sizes=sizes,
            steps=steps,
        )
    after = spread(found.controls)
    gain = Gain(*(_distance(task, batch, controls, seed) for controls in (made, after)))
    return (after, gain) if gain.after < gain.before else (made, Gain(gain.before, gain.before))


def _start(
    task: SynthesisTask, batch: AudioBatch, made: dict[str, Controls]
) -> tuple[Controls, dict[str, float]]:
    """What may move, as it is stepped, and its step sizes."""
    flat: Controls = {}
    sizes: dict[str, float] = {}
    for voice, controls in made.items():
        linear, player = task.voices[voice].synth.linear, task.voices[voice].controls
        for name, value in controls.items():
            if name in batch or (has_unit(name) and not name.endswith("_db")):
                continue
            if isinstance(player, AnalysedControls) and name not in player.bounds:
                continue
            key = f"{voice}/{name}"
            if name.endswith("_db"):
                flat[key], sizes[key] = value, STEP_DB
            elif name in linear:
                flat[key], sizes[key] = value, max(1e-6, STEP_SHARE * float(value.std(correction=0)))
            else:
                flat[key], sizes[key] = torch.logit(value, eps=1e-6), STEP_LOGIT
    return flat, sizes


def _back(task: SynthesisTask, key: str, value: Tensor) -> Tensor:
    voice, name = key.split("/", 1)
    plain = name.endswith("_db") or name in task.voices[voice].synth.linear
    return value if plain else value.sigmoid()


@torch.no_grad()
def _distance(task: SynthesisTask, batch: AudioBatch, controls: dict[str, Controls], seed: int) -> float:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sound: Audio = task.render(batch, controls)
    figures = measured(task.judged(sound), task.judged(batch["audio"]), task.sample_rate)
    return float(figures["mrstft"][0])
