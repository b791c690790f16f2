"""Controls that begin with what an instrument is known to sound like, and learn a bounded correction."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import Batch, Controller
from drumblender.controllers.harmonic import below_nyquist, rms_of, roles_of
from drumblender.controllers.spectrum_table import KernelSpectra, SpectrumTable
from drumblender.controllers.stiffness_table import StiffnessTable
from drumblender.dsp.bands import bin_blends
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import db_to_gain, gain_to_db
from drumblender.encoders.base import Encoder
from drumblender.features.harmonic_noise import LOWEST_BAND_HZ
from drumblender.synths.base import Synth
from drumblender.types import Controls

QUIETEST_DB = -65.0
"""Frames below are taken for silence."""


class CorrectedSpectra(Controller):
    """A table gives each frame its spectrum; an encoder corrects it by some decibels, at first by none.

    What both give is only the colour: harmonics that cannot be played are taken out, then all is scaled so
    that harmonics and noise together have the power that the loudness says. Plays what
    :class:`~drumblender.controllers.HarmonicControls` plays, and hears what table and encoder hear.

    Args:
        base: The table.
        encoder: Makes the correction; None for none.
        harmonic_bound_db: Most that a harmonic is corrected by.
        noise_bound_db: Most that a band of noise is.
        sample_rate: Samples per second.
        stiffness: Knows the strings, for a synth that plays stiff ones.

    Examples:
        >>> from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth
        >>> table = SpectrumTable(num_harmonics=4, num_bands=3)
        >>> notes = {"f0_hz": torch.full((50,), 220.0), "loudness_db": torch.linspace(-60, 0, 50)}
        >>> table.learn(notes, torch.zeros(50, 7), torch.ones(50, 7, dtype=torch.bool))
        >>> controls = CorrectedSpectra(table)
        >>> controls.serve(MixSynth({"tone": HarmonicSynth(4), "noise": FilteredNoiseSynth(9)}))
        >>> frames = {"f0_hz": torch.full((1, 20), 220.0), "loudness_db": torch.full((1, 20), -20.0)}
        >>> {name: tuple(value.shape) for name, value in controls(frames).items()}
        {'tone_f0_hz': (1, 20, 1), 'tone_amp': (1, 20, 4), 'noise_magnitude': (1, 20, 9)}
    """

    def __init__(
        self,
        base: SpectrumTable | KernelSpectra,
        encoder: Encoder | None = None,
        harmonic_bound_db: float = 12.0,
        noise_bound_db: float = 12.0,
        sample_rate: int = 16000,
        stiffness: StiffnessTable | None = None,
    ) -> None:
        super().__init__()
        if not (harmonic_bound_db > 0 and noise_bound_db > 0) or sample_rate < 1:
            raise ValueError(f"Need more than 0: {harmonic_bound_db=}, {noise_bound_db=}, {sample_rate=}.")
        self.base, self.encoder, self.sample_rate = base, encoder, sample_rate
        self.stiffness = stiffness
        bounds = [harmonic_bound_db] * base.num_harmonics + [noise_bound_db] * base.num_bands
        self.register_buffer("bounds_db", torch.tensor(bounds), persistent=False)

    def build(self, synth: Synth) -> None:
        self.names = roles_of(synth)
        harmonics = self.control_sizes[self.names["amp"]]
        if harmonics != self.base.num_harmonics or "magnitude" not in self.names:
            raise ValueError(
                f"The table has {self.base.num_harmonics} harmonics, {self.player} takes "
                f"{self.control_sizes}."
            )
        if ("stiffness" in self.names) != (self.stiffness is not None):
            raise ValueError("A synth with stiffness needs a StiffnessTable, and no other takes one.")
        n_fft = 2 * (self.control_sizes[self.names["magnitude"]] - 1)  # its bins are the points of the noise
        left, blend = bin_blends(
            n_fft, self.sample_rate, self.base.num_bands, LOWEST_BAND_HZ, self.sample_rate / 2
        )
        self.register_buffer("left", left.clone(), persistent=False)
        self.register_buffer("blend", blend.clone(), persistent=False)
        if self.encoder is not None:
            self.layer = nn.Linear(self.encoder.num_features, len(self.bounds_db))
            nn.init.zeros_(self.layer.weight)  # what the table says, until something is learned
            nn.init.zeros_(self.layer.bias)

    @property
    def hears(self) -> tuple[str, ...]:
        """Fields of the batch that table and encoder need."""
        encoder = () if self.encoder is None else self.encoder.hears
        return tuple(dict.fromkeys(("f0_hz", "loudness_db", *self.base.hears, *encoder)))

    def forward(self, batch: Batch) -> Controls:
        self.fields(batch, self.hears)
        features = None
        if self.encoder is not None:
            features = self.encoded(self.encoder, batch, batch["f0_hz"].shape[-1])
        return self.controls(features, batch)

    def error_db(self, batch: Batch) -> Float[Tensor, ""]:
        """Mean distance from the levels that were measured, ``harmonic_db`` and ``noise_db`` of the batch.

        What is more than 60 dB below the loudness counts as if it were there, silent frames not at all.
        """
        harmonic_db, noise_db, loudness_db = self.fields(batch, ("harmonic_db", "noise_db", "loudness_db"))
        controls = self(batch)
        heard = (loudness_db > QUIETEST_DB)[..., None]
        floor_db = loudness_db[..., None] - 60
        errors, count = [], 0
        for role, wanted_db in (("amp", harmonic_db), ("magnitude", self._between_bands(noise_db))):
            level_db = gain_to_db(controls[self.names[role]].clamp(min=1e-6))
            away = torch.maximum(level_db, floor_db) - torch.maximum(wanted_db, floor_db)
            errors.append((away.abs() * heard).sum())
            count = count + heard.sum() * wanted_db.shape[-1]
        return sum(errors) / count.clamp(min=1)

    def _between_bands(self, noise_db: Float[Tensor, "*batch frames bands"]) -> Tensor:
        """Levels of bands at the points of the synth's noise, on straight lines."""
        return torch.lerp(noise_db[..., self.left], noise_db[..., self.left + 1], self.blend)

    def controls(self, features: Float[Tensor, "*batch frames features"] | None, batch: Batch) -> Controls:
        """Controls of frames that are encoded already; frames do not depend on each other any more."""
        harmonic_db, noise_db = self.levels_db(features, batch)
        amp = db_to_gain(harmonic_db)
        stiffness = None if self.stiffness is None else self.stiffness(batch["f0_hz"])
        played = below_nyquist(batch["f0_hz"], self.base.num_harmonics, self.sample_rate, stiffness)
        amp = torch.where(played, amp, 0.0)
        magnitude = db_to_gain(self._between_bands(noise_db))
        gain = db_to_gain(batch["loudness_db"])[..., None] / rms_of(amp, magnitude)
        made = {"f0_hz": batch["f0_hz"][..., None], "amp": amp * gain, "magnitude": magnitude * gain}
        if stiffness is not None:
            made["stiffness"] = stiffness[..., None]
        return {name: made[role] for role, name in self.names.items()}

    def levels_db(
        self, features: Tensor | None, batch: Batch
    ) -> tuple[Float[Tensor, "*batch frames harmonics"], Float[Tensor, "*batch frames bands"]]:
        """Harmonics and noise relative to the loudness, before they are scaled to it."""
        level_db = self.base(batch)
        if features is not None:
            level_db = level_db + self.bounds_db * torch.tanh(raise_half(self.layer(features)))
        return tuple(level_db.split([self.base.num_harmonics, self.base.num_bands], dim=-1))


def measured_frames(
    batches: list[dict[str, Any]], sample_rate: int, quietest_db: float = QUIETEST_DB, sure: float = 0.1
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Curves, spectra relative to the loudness, and what of these was measured, of all frames that sound.

    Args:
        batches: Items with the fields of a phrase, without a batch axis.
        sample_rate: Of the sound.
        quietest_db: Frames below are left out.
        sure: As are those whose pitch is less sure.

    Examples:
        >>> phrase = {"f0_hz": torch.full((100,), 220.0), "loudness_db": torch.linspace(-90, 0, 100)}
        >>> phrase |= {"periodicity": torch.ones(100), "harmonic_db": torch.full((100, 50), -20.0)}
        >>> phrase["noise_db"] = torch.full((100, 3), -40.0)
        >>> curves, spectra, measured = measured_frames([phrase], sample_rate=16000)
        >>> spectra.shape, int(measured[0].sum())  # 36 harmonics and 3 bands below 8 kHz
        (torch.Size([72, 53]), 39)
    """
    fields = {
        name: torch.cat([item[name] for item in batches])
        for name, value in batches[0].items()
        if isinstance(value, Tensor) and name != "audio"
    }
    kept = (fields["loudness_db"] > quietest_db) & (fields["periodicity"] > sure)
    if not kept.any():
        raise ValueError(f"Nothing to learn from: no frame above {quietest_db:g} dB has a sure pitch.")
    fields = {name: value[kept] for name, value in fields.items()}
    harmonic_db, noise_db = fields.pop("harmonic_db"), fields.pop("noise_db")
    spectra = torch.cat([harmonic_db, noise_db], dim=-1) - fields["loudness_db"][:, None]
    given = fields["f0_hz"][None], harmonic_db.shape[-1], sample_rate
    stiffness = fields["stiffness"][None] if "stiffness" in fields else None
    playable = below_nyquist(*given, stiffness)[0]
    return fields, spectra, torch.cat([playable, torch.ones_like(noise_db, dtype=torch.bool)], dim=-1)
