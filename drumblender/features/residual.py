"""What the modes of a drum leave over: its attack as it is, and the rest as levels of bands."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.bands import band_powers, smoothed
from drumblender.dsp.mdct import inverse_mdct, mdct
from drumblender.dsp.oscillators import modal_bank, quadrature_bank
from drumblender.features.analysis import Analysed, Analysis
from drumblender.features.band_analysis import BandAnalysis
from drumblender.features.shared import heard_once
from drumblender.types import Audio, ModalBatch

_LEAST = 1e-14  # -140 dB


class OnsetCoefficients(Analysis):
    """The attack that the modes leave over, in lapped cosines of which only the strongest are kept.

    The control ``coefficients`` is what a :class:`~drumblender.synths.LappedTransient` of the same size
    plays. Like the modes, they are fitted to the very sound: to play them is no prediction. A recording is
    taken to begin with its onset, as prepared one-shots do. The features are the coefficients, too.

    Reads what :class:`ResidualBands` reads.

    Args:
        size: Cosines in a frame, and samples from frame to frame.
        num_frames: Of which the last is the end of the fading: the sound is ``num_frames - 1`` sizes long.
        num_coefficients: How many of all frames are kept.

    Raises:
        ValueError: Fewer than two frames, a size below 1, or no coefficient to keep.

    Examples:
        >>> batch = dict.fromkeys(("freq_rad", "amp", "phase_rad"), torch.zeros(1, 2, 1))
        >>> batch["audio"] = torch.randn(1, 16000)
        >>> found = OnsetCoefficients(size=64, num_frames=9, num_coefficients=50)(batch)
        >>> found.controls["coefficients"].shape, int(found.controls["coefficients"].count_nonzero())
        (torch.Size([1, 9, 64]), 50)
    """

    def __init__(self, size: int = 128, num_frames: int = 33, num_coefficients: int = 1024) -> None:
        super().__init__()
        if num_frames < 2 or min(size, num_coefficients) < 1:
            raise ValueError(
                "An attack needs two frames, and one cosine or more, "
                f"got {size=}, {num_frames=}, {num_coefficients=}."
            )
        self.num_features, self.num_frames, self.num_coefficients = size, num_frames, num_coefficients

    @torch.no_grad()
    def forward(self, batch: ModalBatch) -> Analysed:
        coefficients = self.left_over(batch["audio"] - play_modes(batch))
        return Analysed({"coefficients": coefficients}, coefficients)

    def left_over(self, rest: Audio) -> Float[Tensor, "batch frames size"]:
        """The coefficients of the attack of ``rest``."""
        size = self.num_features
        heard = size * (self.num_frames - 1)
        fade = torch.hann_window(2 * size, device=rest.device, dtype=rest.dtype)[size:]
        rest = F.pad(rest, (0, max(0, heard - rest.shape[-1])))[..., :heard]
        rest = torch.cat([rest[..., :-size], rest[..., -size:] * fade], dim=-1)
        found = mdct(rest, size)
        flat = found.flatten(start_dim=1)
        kept = flat.abs().topk(min(self.num_coefficients, flat.shape[-1])).indices
        return torch.zeros_like(flat).scatter(-1, kept, flat.gather(-1, kept)).view_as(found)


class ResidualBands(BandAnalysis):
    """Levels of the noise that is missing between a recording and its modes.

    The control ``level_db`` is the band power of the recording less that of the modes, smoothed over some
    frames, and at least ``floor_db`` under the recording: what a :class:`~drumblender.synths.StftNoiseSynth`
    with the same bands has to add. The features are the levels of the recording and of the modes, in dB, and
    on request those of what is left of the waveform without the modes: where both powers are alike they tell
    modes that lie on the recording from modes that only sound like it.

    Reads ``audio``, ``freq_rad``, ``amp``, ``phase_rad`` and, where the modes were refitted, ``quadrature``.

    Args:
        sample_rate: Samples per second.
        num_bands, n_fft, hop_length, low_hz, high_hz: As the synth has them.
        smooth_frames: Frames that are averaged, an odd number.
        floor_db: The least level of the noise, relative to the recording.
        levels: Give ``level_db``; without it the analysis is only heard, as an equaliser of the modes needs.
        hear_rest: Features have the levels of the recording less its modes, too.
        onset: What another voice plays of the attack; it counts as part of the modes.

    Examples:
        >>> silent = dict.fromkeys(("freq_rad", "amp", "phase_rad"), torch.zeros(1, 2, 1))
        >>> noise = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
        >>> controls, features = ResidualBands(16000, num_bands=8, smooth_frames=9)({"audio": noise} | silent)
        >>> features.shape, round(controls["level_db"].mean().item())  # all of the noise is left
        (torch.Size([1, 63, 16]), 0)
    """

    def __init__(
        self,
        sample_rate: int,
        num_bands: int = 64,
        n_fft: int = 1024,
        hop_length: int = 256,
        low_hz: float = 40.0,
        high_hz: float | None = None,
        smooth_frames: int = 1,
        floor_db: float = -20.0,
        levels: bool = True,
        hear_rest: bool = False,
        onset: OnsetCoefficients | None = None,
    ) -> None:
        super().__init__(sample_rate, num_bands, n_fft, hop_length, low_hz, high_hz, smooth_frames)
        if floor_db > 0:
            raise ValueError(f"The floor lies at 0 dB or under the recording, got {floor_db=}.")
        self.num_features = (3 if hear_rest else 2) * num_bands
        self.floor_db, self.levels, self.hear_rest, self.onset = floor_db, levels, hear_rest, onset

    @torch.no_grad()
    def forward(self, batch: ModalBatch) -> Analysed:
        audio, modes = batch["audio"], play_modes(batch)
        if self.onset is not None:
            modes = modes + inverse_mdct(self.onset.left_over(audio - modes), audio.shape[-1])
        sounds = (audio, modes, heard_once(torch.sub, audio, modes)) if self.hear_rest else (audio, modes)
        powers = [heard_once(band_powers, sound, **self.bands) for sound in sounds]
        features = torch.cat([_level_db(power) for power in powers], dim=-1)
        if not self.levels:
            return Analysed({}, features)
        target, stem = (smoothed(power, self.smooth_frames) for power in powers[:2])
        left = torch.maximum(target - stem, target * 10 ** (self.floor_db / 10))
        return Analysed({"level_db": _level_db(left)}, features)


def play_modes(batch: ModalBatch) -> Audio:
    """The sound of the modes of a batch, as long as its audio; do not write to it."""
    parts = [batch[name] for name in ("freq_rad", "amp", "phase_rad", "quadrature") if name in batch]
    return heard_once(_played, batch["audio"], *parts)


def _played(audio: Audio, freq_rad: Tensor, amp: Tensor, phase_rad: Tensor, *quadrature: Tensor) -> Audio:
    settings = {"num_samples": audio.shape[-1], "align": "hop"}
    if quadrature:
        return quadrature_bank(freq_rad.mT, amp.mT, quadrature[0].mT, phase_rad.mT, **settings)
    return modal_bank(freq_rad.mT, amp.mT, phase_rad.mT, **settings)


def _level_db(power: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch frames bands"]:
    return 10 * torch.log10(power.clamp(min=_LEAST))
