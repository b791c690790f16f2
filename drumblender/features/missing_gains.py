"""What the voices so far lack of a recording, band by band."""

import torch

from drumblender.features.analysis import Analysed
from drumblender.features.band_analysis import BandAnalysis
from drumblender.types import AudioBatch

_FLOOR_DB = -100.0  # under the loudest band of the recording: what is softer than that is given no gain


class MissingGains(BandAnalysis):
    """The gains that bring the bands of the mix so far to the levels of the recording.

    The control ``gain_db`` is that of a :class:`~drumblender.synths.BandEqualiser` with the same bands, which
    comes after the voices that sound: the body of an instrument, after its string. It is measured in the very
    recording, frame by frame; to play it is no prediction. The features are the levels of the recording and
    of the mix, in dB, for an encoder to hear.

    Reads ``audio`` and ``mix``.

    Args:
        sample_rate: Samples per second.
        num_bands, n_fft, hop_length, low_hz, high_hz: As the equaliser has them.
        smooth_frames: Frames that are averaged, an odd number.
        limit_db: The gains lie between this and its negative.

    Raises:
        ValueError: An even number of frames, or no limit above 0.

    Examples:
        >>> noise = torch.randn(1, 16000)
        >>> controls, features = MissingGains(16000, num_bands=8)({"audio": 0.5 * noise, "mix": noise})
        >>> controls["gain_db"].shape, round(controls["gain_db"].mean().item()), features.shape
        (torch.Size([1, 126, 8]), -6, torch.Size([1, 126, 16]))
    """

    hears_mix = True

    def __init__(
        self,
        sample_rate: int,
        num_bands: int = 64,
        n_fft: int = 512,
        hop_length: int = 128,
        low_hz: float = 40.0,
        high_hz: float | None = None,
        smooth_frames: int = 1,
        limit_db: float = 36.0,
    ) -> None:
        super().__init__(sample_rate, num_bands, n_fft, hop_length, low_hz, high_hz, smooth_frames)
        if limit_db <= 0:
            raise ValueError(f"The limit of the gains is above 0 dB, got {limit_db=}.")
        self.num_features, self.limit_db = 2 * num_bands, limit_db

    @torch.no_grad()
    def forward(self, batch: AudioBatch) -> Analysed:
        wanted, played = (self.smooth_powers(batch[name]) for name in ("audio", "mix"))
        least = wanted.amax(dim=(1, 2), keepdim=True) * 10 ** (_FLOOR_DB / 10) + 1e-14
        wanted_db, played_db = (10 * torch.log10(power + least) for power in (wanted, played))
        gain_db = (wanted_db - played_db).clamp(-self.limit_db, self.limit_db)
        return Analysed({"gain_db": gain_db}, torch.cat([wanted_db, played_db], dim=-1))
