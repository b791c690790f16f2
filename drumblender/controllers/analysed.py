"""What the recording says, and a learned correction of it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import Controller, module_key
from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.units import Range
from drumblender.encoders.base import Encoder
from drumblender.features.analysis import Analysis
from drumblender.synths.base import Synth, has_unit
from drumblender.types import AudioBatch, Controls


class AnalysedControls(Controller):
    """Plays a synth with controls that an analysis measures, each plus a bounded correction that is learned.

    The correction starts at zero, so an untrained model plays what was measured, and training can only move
    it within the bounds: it cannot collapse. A control in a unit is corrected in that unit; one in (0, 1) by
    its logit, so that it stays inside. Controls without bounds are played as measured, or as the batch has
    them.

    Args:
        analysis: Measures controls in the batch.
        encoder: Hears the ``features`` of the analysis; only bounds need one.
        bounds: By control, the least and the greatest correction, below and above 0. A control that the
            analysis does not measure is its correction alone: 0 at the start.

    Raises:
        ValueError: Bounds that do not hold 0 between them, that are logarithmic, or without an encoder; an
            encoder of other things.

    Examples:
        >>> from drumblender.encoders import BandEncoder
        >>> from drumblender.features import ResidualBands
        >>> from drumblender.synths import StftNoiseSynth
        >>> analysis = ResidualBands(16000, num_bands=8)
        >>> controls = AnalysedControls(analysis, BandEncoder(16), {"level_db": Range(-30, 12)})
        >>> controls.serve(StftNoiseSynth(16000, num_bands=8))
        >>> batch = dict.fromkeys(("freq_rad", "amp", "phase_rad"), torch.zeros(1, 2, 1))
        >>> batch["audio"] = torch.randn(1, 4000)
        >>> measured = analysis(batch).controls
        >>> torch.equal(controls(batch)["level_db"], measured["level_db"])  # before any training
        True
    """

    def __init__(
        self,
        analysis: Analysis,
        encoder: Encoder | None = None,
        bounds: dict[str, Range] | None = None,
    ) -> None:
        super().__init__()
        bounds = bounds or {}
        if bounds and encoder is None:
            raise ValueError(f"Corrections of {', '.join(sorted(bounds))} need an encoder.")
        if bounds and encoder.hears != ("features",):
            raise ValueError(
                f"AnalysedControls give their encoder features of the analysis, and {type(encoder).__name__} "
                f"hears {', '.join(encoder.hears)}: take BandEncoder, or HeardControls."
            )
        for name, bound in bounds.items():
            if bound.log or not bound.low < 0 < bound.high:
                raise ValueError(f"The correction of {name!r} needs bounds below and above 0, got {bound}.")
        self.analysis, self.encoder, self.bounds = analysis, encoder, dict(bounds)
        self.hears_mix = analysis.hears_mix
        self.layers = nn.ModuleDict()

    def build(self, synth: Synth) -> None:
        """Make the layers of the corrections.

        Raises:
            ValueError: Bounds for a control that the synth does not have.
        """
        if unknown := sorted(set(self.bounds) - set(self.control_sizes)):
            raise ValueError(f"{self.player} has no control {unknown}, only {sorted(self.control_sizes)}.")
        for name in self.bounds:
            layer = nn.Linear(self.encoder.num_features, self.control_sizes[name])
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.layers[module_key(name)] = layer

    def forward(self, batch: AudioBatch) -> Controls:
        """Controls for every sound of the batch, ``(batch, frames, size)`` by name.

        Raises:
            ValueError: A control is neither measured, nor bounded, nor a field of the batch.
        """
        measured, heard = self.analysis(batch)
        features = heard if self.encoder is None or not self.bounds else self.encoder(heard)
        controls: Controls = {}
        for name in self.control_sizes:
            base = measured.get(name)
            if base is None and name in batch:
                base = self.from_batch(batch, name)
            if name in self.bounds:
                controls[name] = self._corrected(name, base, features)
            elif base is not None:
                controls[name] = base
            else:
                raise ValueError(
                    f"{self.player} needs {name!r}: {type(self.analysis).__name__} does not measure it "
                    "and the batch has no such field; give it bounds, or data that has it."
                )
        return controls

    def _corrected(self, name: str, base: Tensor | None, features: Tensor) -> Tensor:
        if self.control_frames.get(name) == 1:
            features = features.mean(dim=1, keepdim=True)
        bound = self.bounds[name]
        correction = within(self.layers[module_key(name)](features), bound.low, bound.high)
        if base is None:
            return correction if has_unit(name) else correction.sigmoid()
        if base.shape[1] != correction.shape[1]:
            correction = interpolate_frames(correction.mT, base.shape[1], align="hop").mT
        if has_unit(name):
            return base + correction
        return torch.sigmoid(torch.logit(base, eps=1e-6) + correction)


def within(raw: Float[Tensor, "..."], low: float, high: float) -> Float[Tensor, "..."]:
    """Bend any number smoothly into (low, high): 0 stays 0, with the same slope on both sides.

    Examples:
        >>> within(torch.tensor([-99.0, 0.0, 99.0]), -30, 12).tolist()
        [-30.0, 0.0, 12.0]
    """
    slope = min(-low, high)
    # Not by clamps: torch 2.14 gives them no gradient at 0, where all corrections begin.
    limit = torch.where(raw > 0, torch.full_like(raw, high), torch.full_like(raw, low))
    return limit * torch.tanh(raw * (slope / limit))
