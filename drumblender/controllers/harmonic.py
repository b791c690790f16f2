"""What plays harmonics and noise from control curves: a spectrum for each frame, scaled by the loudness."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from drumblender.controllers.base import Batch, Controller
from drumblender.dsp.partials import partials_hz
from drumblender.dsp.precision import in_full_precision, raise_half
from drumblender.dsp.stft_noise import mean_square_of_bands
from drumblender.dsp.tables import placed, table
from drumblender.dsp.units import db_to_gain
from drumblender.encoders.base import Encoder
from drumblender.nets.exp_sigmoid import exp_sigmoid
from drumblender.synths.base import Synth
from drumblender.types import Controls

Amplitude = Literal["total", "rms", "sum", "learned"]

_FEW_BANDS = 65  # a frame of so many takes two thirds of the time by a product, a batch as long as in steps
_NOTHING = -1e30  # a harmonic that has no share, and no gradient
_ROLES = ("f0_hz", "amp", "magnitude", "stiffness")


class HarmonicControls(Controller):
    """One linear layer on an encoder's features makes a distribution over harmonics, and noise magnitudes.

    Plays a synth with the controls ``amp`` and, where it has them, ``f0_hz`` (handed on from the batch) and
    ``magnitude`` (noise), each perhaps behind a name: ``harmonic_amp``. The batch brings ``f0_hz``,
    ``loudness_db`` and what the encoder hears. The defaults are right in level; Neural Guitar as published is
    ``amplitude: sum, nyquist: mask, noise: sigmoid, noise_bias: 0, noise_follows_loudness: false``.

    Args:
        encoder: Hears fields of the batch.
        sample_rate: Samples per second; harmonics at or above half of it are silent.
        amplitude: ``total``: harmonics and noise together have the power that the loudness says. ``rms``: the
            harmonics alone have it. ``sum``: amplitudes add up to the loudness, 3 dB and more too quiet, as
            published. ``learned``: an output of its own, not the loudness, scales them.
        nyquist: ``renormalise`` gives the share of silent harmonics to the others; ``mask`` loses it.
        noise: How magnitudes are squashed.
        noise_bias: Where the outputs of the noise start.
        noise_follows_loudness: Multiply magnitudes by the loudness; ``total`` always does.
        spare_outputs: Outputs that play nothing, as published models without noise have them.

    Examples:
        >>> from drumblender.encoders import ControlGRU
        >>> from drumblender.synths import HarmonicSynth
        >>> synth, controls = HarmonicSynth(num_harmonics=20), HarmonicControls(ControlGRU(8))
        >>> controls.serve(synth)
        >>> batch = {"f0_hz": torch.full((1, 101), 220.0), "loudness_db": torch.full((1, 101), -20.0)}
        >>> sound = synth(controls(batch), 16000)
        >>> round(10 * sound.square().mean().log10().item())
        -20
    """

    def __init__(
        self,
        encoder: Encoder,
        sample_rate: int = 16000,
        amplitude: Amplitude = "total",
        nyquist: Literal["renormalise", "mask"] = "renormalise",
        noise: Literal["exp_sigmoid", "sigmoid"] = "exp_sigmoid",
        noise_bias: float = -5.0,
        noise_follows_loudness: bool = True,
        spare_outputs: int = 0,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("amplitude", amplitude, ("total", "rms", "sum", "learned")),
            ("nyquist", nyquist, ("renormalise", "mask")),
            ("noise", noise, ("exp_sigmoid", "sigmoid")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}.")
        if sample_rate < 1 or spare_outputs < 0 or not math.isfinite(noise_bias):
            raise ValueError(f"Out of range: {sample_rate=}, {spare_outputs=} or {noise_bias=}.")
        self.encoder, self.sample_rate, self.amplitude, self.nyquist = (
            encoder,
            sample_rate,
            amplitude,
            nyquist,
        )
        self.noise, self.noise_bias, self.noise_follows_loudness = noise, noise_bias, noise_follows_loudness
        self.spare_outputs = spare_outputs

    def build(self, synth: Synth) -> None:
        self.names = roles_of(synth)
        if "stiffness" in self.names:
            raise ValueError("HarmonicControls know no stiffness: use HarmonicSynth, or CorrectedSpectra.")
        self.num_harmonics = self.control_sizes[self.names["amp"]]
        self.num_bands = self.control_sizes[self.names["magnitude"]] if "magnitude" in self.names else 0
        others = self.spare_outputs + (self.amplitude == "learned")
        self._sizes = [self.num_harmonics, self.num_bands] + [others] * (others > 0)
        self.layer = nn.Linear(self.encoder.num_features, sum(self._sizes))
        nn.init.normal_(self.layer.weight, std=0.02)
        nn.init.zeros_(self.layer.bias)
        with torch.no_grad():
            self.layer.bias[self.num_harmonics :][: self.num_bands] = self.noise_bias

    @property
    def hears(self) -> tuple[str, ...]:
        """Fields of the batch that are needed."""
        return tuple(dict.fromkeys(("f0_hz", "loudness_db", *self.encoder.hears)))

    def forward(self, batch: Batch) -> Controls:
        f0_hz, loudness_db = self.fields(batch, ("f0_hz", "loudness_db"))
        features = self.encoded(self.encoder, batch, f0_hz.shape[-1])
        return self.controls(features, f0_hz, loudness_db)

    def controls(
        self,
        features: Float[Tensor, "*batch frames features"],
        f0_hz: Float[Tensor, "*batch frames"],
        loudness_db: Float[Tensor, "*batch frames"],
    ) -> Controls:
        """Controls of frames that are encoded already; frames do not depend on each other any more."""
        out = raise_half(self.layer(features))
        loudness = db_to_gain(raise_half(loudness_db))[..., None]
        harmonics, bands, *_ = out.split(self._sizes, dim=-1)
        audible = below_nyquist(f0_hz, self.num_harmonics, self.sample_rate)
        if self.nyquist == "renormalise":
            share = torch.where(audible, harmonics, _NOTHING).softmax(dim=-1)
            share = heard = torch.where(audible, share, 0.0)  # also where none is audible
        else:
            share = harmonics.softmax(dim=-1)
            heard = share * audible
        noise = bands.sigmoid() if self.noise == "sigmoid" else exp_sigmoid(bands)
        if self.amplitude == "learned":
            amp = exp_sigmoid(out[..., -1:]) * share
        elif self.amplitude == "sum":
            amp = share * loudness
        else:
            heard_noise = noise if self.amplitude == "total" else noise[..., :0]
            gain = loudness / rms_of(heard, heard_noise)
            amp, noise = share * gain, noise * gain if self.amplitude == "total" else noise
        if self.noise_follows_loudness and self.amplitude != "total":
            noise = noise * loudness
        made = {"f0_hz": f0_hz[..., None], "amp": amp, "magnitude": noise}
        return {name: made[role] for role, name in self.names.items()}


def roles_of(synth: Synth) -> dict[str, str]:
    """Which control of a synth is its pitch, its harmonics, its noise and the stiffness of its strings.

    Raises:
        ValueError: It has no harmonics, or controls beyond these.
    """
    names = {
        role: name
        for name in synth.control_sizes
        for role in _ROLES
        if name == role or name.endswith(f"_{role}")
    }
    strange = sorted(set(synth.control_sizes) - set(names.values()) | set(synth.control_frames))
    if "amp" not in names or strange:
        raise ValueError(
            f"HarmonicControls play amp, f0_hz and magnitude, not those of {type(synth).__name__} "
            f"({', '.join(synth.control_sizes)[:80]}): use HarmonicSynth, alone or in a MixSynth with "
            "FilteredNoiseSynth."
        )
    return names


def below_nyquist(
    f0_hz: Float[Tensor, "*batch frames"],
    num_harmonics: int,
    sample_rate: int,
    stiffness: Float[Tensor, "*batch frames"] | None = None,
) -> Bool[Tensor, "*batch frames harmonics"]:
    """Which harmonics of each frame can be played; with ``stiffness``, which partials."""
    if stiffness is not None:
        return partials_hz(f0_hz, stiffness, num_harmonics) < sample_rate / 2
    order = torch.arange(1, num_harmonics + 1, device=f0_hz.device, dtype=f0_hz.dtype)
    return f0_hz[..., None] * order < sample_rate / 2


@in_full_precision
def rms_of(
    amp: Float[Tensor, "*batch frames harmonics"], magnitude: Float[Tensor, "*batch frames bands"]
) -> Float[Tensor, "*batch frames 1"]:
    """RMS of sines with these amplitudes and of noise with these magnitudes, never 0; no bands: no noise."""
    bands = int(magnitude.shape[-1])
    if bands > _FEW_BANDS:
        power = amp.square().sum(dim=-1, keepdim=True) / 2 + mean_square_of_bands(magnitude)[..., None]
        return power.clamp(min=1e-14).sqrt()
    lines = torch.cat([amp, magnitude @ placed(_factor(bands), magnitude)], dim=-1) if bands else amp
    return (math.sqrt(0.5) * torch.linalg.vector_norm(lines, dim=-1, keepdim=True)).clamp(min=1e-7)


@table
def _factor(bands: int) -> Float[Tensor, "{bands} {bands}"]:
    """What magnitudes are multiplied by, so that their norm squared is twice ``mean_square_of_bands``.

    That is a quadratic form, whose matrix has three diagonals; the factor is that of Cholesky.
    """
    ends = torch.ones(bands, dtype=torch.float64)
    ends[[0, -1]] = 0.5
    beside = torch.full((bands - 1,), 0.25, dtype=torch.float64)
    form = ends.diag() + beside.diag(1) + beside.diag(-1)
    return torch.linalg.cholesky(form * 4 / (3 * (bands - 1)))
