"""Timbre transfer: an instrument that is played by the pitch and loudness of another sound."""

import logging
import math

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.controllers import (
    CorrectedSpectra,
    KernelSpectra,
    SpectrumTable,
    StiffnessTable,
    measured_frames,
)
from drumblender.controllers.corrected import QUIETEST_DB
from drumblender.controllers.harmonic import below_nyquist, rms_of
from drumblender.dsp.harmonics import harmonic_bank
from drumblender.dsp.units import db_to_gain
from drumblender.losses.calling import call_loss
from drumblender.metrics.following import following_errors
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.tasks.played import QUANTILES, GuitarVoices
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, HasPhrases, NoteBatch

_log = logging.getLogger(__name__)

_RANGES = ("f0_hz", "loudness_db", "brightness_hz")  # of the instrument, kept
_SAW_HARMONICS = 100
_MELODY = 10  # onsets: where one note rings out, up to nine are heard
_STEPS_UNREAD = 50  # on CUDA, which would wait for every loss that is looked at


class GuitarTask(GuitarVoices, SynthesisTask):
    """Resynthesises phrases of an instrument from their curves, so that other curves can play it.

    Before training, tables of spectra take over what was measured in the training phrases. Where there are
    measured spectra, the first steps learn those; then the loss compares sounds. The range of the
    instrument travels in the checkpoint, for voices of another register and level.

    Args:
        voices: The voices by name; the first plays the instrument, a room may follow.
        loss, sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.
        supervised_steps: Steps that learn measured spectra, in decibels, in place of the loss.
        warmup_samples: Samples at the start of a training crop that the loss leaves out: there, an encoder
            with memory has none yet.

    Raises:
        ValueError: Supervised steps for controls that compare themselves with nothing.

    Examples:
        >>> from drumblender.controllers import HarmonicControls
        >>> from drumblender.encoders import ControlGRU
        >>> from drumblender.synths import HarmonicSynth
        >>> voice = Voice(HarmonicSynth(num_harmonics=20), HarmonicControls(ControlGRU(8)))
        >>> task = GuitarTask({"guitar": voice}, nn.L1Loss())
        >>> curves = {"f0_hz": torch.full((1, 26), 220.0), "loudness_db": torch.full((1, 26), -20.0)}
        >>> task(curves | {"audio": torch.zeros(1, 4000)}).shape
        torch.Size([1, 4000])
    """

    def __init__(
        self,
        voices: dict[str, Voice],
        loss: nn.Module,
        sample_rate: int = 16000,
        supervised_steps: int = 0,
        warmup_samples: int = 0,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(voices, sample_rate, loss=loss, metrics=metrics, eval_seed=eval_seed)
        self.save_arguments()
        if min(supervised_steps, warmup_samples) < 0:
            raise ValueError(f"Need 0 or more, got {supervised_steps=} and {warmup_samples=}.")
        if supervised_steps and not isinstance(self.player, CorrectedSpectra):
            kind = type(self.player).__name__
            raise ValueError(f"supervised_steps is for CorrectedSpectra, not {kind}: leave it at 0.")
        self.supervised_steps, self.warmup_samples = supervised_steps, warmup_samples

    def setup(self, stage: str) -> None:
        """Tell tables what the training phrases sound like, and keep the instrument's range.

        Each training learns its own, also one that began with the weights of another instrument; where it
        goes on with a stopped one, what that had learned is restored after this.
        """
        super().setup(stage)
        data = self.data_module
        if stage != "fit" or not isinstance(data, HasPhrases):
            return
        known = self.range_f0_hz.any()
        self.learn_from(data.training_phrases())
        if known:
            _log.info("Tables and range are learned anew: they are those of the training phrases.")

    def learn_from(self, phrases: list[dict[str, Tensor]]) -> None:
        """Fill the tables from whole phrases, and the range from those of several notes, where there are any.

        A single note that rings out has levels, and often a pitch, that a melody does not have.
        """
        for part in self.modules():
            if isinstance(part, SpectrumTable | KernelSpectra):
                part.learn(*measured_frames(phrases, self.sample_rate))
            elif isinstance(part, StiffnessTable):
                self._learn_stiffness(part, phrases)
        ranges = [name for name in _RANGES if getattr(self, f"range_{name}") is not None]
        melodies = [phrase for phrase in phrases if _onsets(phrase) >= _MELODY] or phrases
        curves = {name: torch.cat([phrase[name] for phrase in melodies]) for name in (*ranges, "periodicity")}
        loud = (curves["loudness_db"] > QUIETEST_DB) & (curves["periodicity"] > 0.1)
        if not loud.any():
            raise ValueError(f"No training frame is louder than {QUIETEST_DB:g} dB with a sure pitch.")
        even = torch.linspace(0, int(loud.sum()) - 1, QUANTILES).round().long()
        for name in ranges:
            getattr(self, f"range_{name}").copy_(curves[name][loud].sort().values[even])

    def _learn_stiffness(self, table: StiffnessTable, phrases: list[dict[str, Tensor]]) -> None:
        if any("stiffness" not in phrase for phrase in phrases):
            raise ValueError(
                "The stiffness of strings was not measured: prepare another data_dir with --data.stiff true."
            )
        curves = measured_frames(phrases, self.sample_rate)[0]
        table.learn(curves["f0_hz"], curves["stiffness"])

    def training_step(self, batch: NoteBatch, batch_idx: int) -> Step:
        step = self._training_step(batch, batch_idx)
        waits = step["loss"].device.type == "cuda"  # for the step to end; what is no number stays so
        if (not waits or (self.global_step + 1) % _STEPS_UNREAD == 0) and not step["loss"].isfinite():
            where = self._not_finite(batch)
            raise ValueError(f"Training stops at step {self.global_step}: {where} is not finite.")
        return step

    def _training_step(self, batch: NoteBatch, batch_idx: int) -> Step:
        if self.global_step < self.supervised_steps:
            loss = self.player.error_db(batch)
            self.log("train/levels_db", loss, prog_bar=True, batch_size=len(batch["audio"]))
            silent = torch.zeros_like(batch["audio"])
            return {"loss": loss, "prediction": silent, "target": batch["audio"]}
        return super().training_step(batch, batch_idx)

    def _step(self, batch: NoteBatch, stage: str) -> Step:
        target, start = batch["audio"], self.warmup_samples if stage == "train" else 0
        prediction = self(batch)
        loss = call_loss(self.loss, prediction[:, start:], target[:, start:])
        self.log_loss(stage, loss, len(target))
        return {"loss": loss, "prediction": prediction.detach(), "target": target}

    def validation_step(self, batch: NoteBatch, batch_idx: int) -> Step:
        """The loss, and how far pitch and level of the resynthesis are from what it was given."""
        step = super().validation_step(batch, batch_idx)
        given = [batch[name] for name in ("f0_hz", "loudness_db", "periodicity") if name in batch]
        if len(given) == 3:
            found = following_errors(step["prediction"], *given, self.sample_rate)
            for name, value in found.items():
                if math.isfinite(value):  # not where all is silent
                    self.log(f"validation/{name}", value, batch_size=len(batch["audio"]), sync_dist=True)
        return step

    def _not_finite(self, batch: NoteBatch) -> str:
        """Which tensor is the first that is no number: of the batch, the weights, or what they made."""
        weights = {f"the weights {name}": value for name, value in self.named_parameters()}
        known = {f"{name} of the batch": value for name, value in batch.items()} | weights
        with torch.no_grad():
            for name, value in known.items():
                if isinstance(value, Tensor) and value.is_floating_point() and not value.isfinite().all():
                    return name
            for voice, controls in self.voice_controls(batch).items():
                for name, value in controls.items():
                    if not value.isfinite().all():
                        return f"the control {name} of {voice}"
        return "the sound" if not self(batch).isfinite().all() else "the loss"

    @torch.no_grad()
    def baselines(self, batch: NoteBatch) -> dict[str, Audio]:
        """What needs no training: silence, a sawtooth of the same pitch and loudness, and the table alone."""
        f0_hz, num_samples = batch["f0_hz"], batch["audio"].shape[-1]
        order = torch.arange(1, _SAW_HARMONICS + 1, device=f0_hz.device)
        amp = torch.where(below_nyquist(f0_hz, _SAW_HARMONICS, self.sample_rate), 1 / order, 0.0)
        amp = amp * db_to_gain(batch["loudness_db"])[..., None] / rms_of(amp, amp[..., :0])
        saw = harmonic_bank(
            f0_hz,
            amp,
            num_samples=num_samples,
            sample_rate=self.sample_rate,
            f0_upsampling="hop",
            amp_upsampling="hop",
        )
        found = {"silence": torch.zeros_like(batch["audio"]), "sawtooth": saw}
        if isinstance(self.player, CorrectedSpectra) and self.player.base.known:
            first = next(iter(self.voices))
            table = {first: self.player.controls(None, batch)}
            found["table"] = self.render(batch, self.voice_controls(batch) | table)
        return found


def _onsets(phrase: dict[str, Tensor]) -> int:
    return int((phrase["age_s"].diff() < 0).sum())
