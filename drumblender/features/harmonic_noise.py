"""What harmonics and noise a recording of known pitch has: levels by peak search, and between the peaks."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.bands import band_centers_hz
from drumblender.dsp.partials import partial_order, partials_hz
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import power, stft
from drumblender.types import Audio

FLOOR_DB = -120.0
LOWEST_BAND_HZ = 40.0
"""Centre of the lowest band of noise; that of the highest is Nyquist."""

_LOG_MEAN_DB = 2.5068  # by which the mean of noise power lies above the mean of its decibels


class HarmonicNoiseAnalysis(nn.Module):
    """Levels of harmonics, and of the noise between them in ERB bands, for every hop.

    A harmonic is the largest value of the spectrum near its place, as strings are not quite harmonic. Noise
    is read where no harmonic is near: from what is left after harmonics are taken out it would fill the
    valleys between them. Both in dB: ``harmonic_db`` of amplitudes, ``noise_db`` of the gain that makes noise
    of unit variance as loud (``FilteredNoiseSynth``'s magnitude). No gradient.

    Args:
        num_harmonics: Harmonics to look for; those at or above Nyquist are at the floor, -120 dB.
        num_bands: Bands of the noise, from 40 Hz to Nyquist.
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame, centred.
        window_s: Length of the Hann window for harmonics; 64 ms tell those of 80 Hz apart. Noise is read by
            a Blackman-Harris window twice as long, whose side lobes leave the valleys clear.
        search: How far from its place a harmonic may lie, as a share of the fundamental.

    Examples:
        >>> sine = 0.1 * torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000)
        >>> analysis = HarmonicNoiseAnalysis(num_harmonics=2, num_bands=4)
        >>> harmonic_db, noise_db = analysis(sine[None], torch.full((1, 101), 220.0))
        >>> harmonic_db[0, 50, 0].round(), noise_db.shape
        (tensor(-20.), torch.Size([1, 101, 4]))
    """

    def __init__(
        self,
        num_harmonics: int = 100,
        num_bands: int = 24,
        sample_rate: int = 16000,
        hop_length: int = 160,
        window_s: float = 0.064,
        search: float = 0.3,
    ) -> None:
        super().__init__()
        if min(num_harmonics, hop_length) < 1 or not 0 < search < 0.5 or not window_s * sample_rate >= 16:
            raise ValueError(f"Out of range: {num_harmonics=}, {hop_length=}, {window_s=} or {search=}.")
        self.num_harmonics, self.num_bands = num_harmonics, num_bands
        self.sample_rate, self.hop_length, self.search = sample_rate, hop_length, search
        self.win_length = int(window_s * sample_rate)
        self.n_fft = 2 << (self.win_length - 1).bit_length()
        self.centres_hz = band_centers_hz(num_bands, LOWEST_BAND_HZ, sample_rate / 2)

    @torch.no_grad()
    @in_full_precision
    def forward(
        self,
        audio: Audio,
        f0_hz: Float[Tensor, "batch frames"],
        stiffness: Float[Tensor, "batch frames"] | None = None,
    ) -> tuple[Float[Tensor, "batch frames harmonics"], Float[Tensor, "batch frames bands"]]:
        """``harmonic_db`` and ``noise_db``; as many frames as ``f0_hz`` has, at most one a hop.

        With ``stiffness`` of a string, harmonics are sought where its partials are; without it, at whole
        multiples.

        Raises:
            ValueError: More frames of pitch than the sound has.
        """
        if f0_hz.shape[1] > audio.shape[-1] // self.hop_length + 1 or len(f0_hz) != len(audio):
            raise ValueError(f"{tuple(f0_hz.shape)} frames of pitch for {tuple(audio.shape)} samples.")
        hann, narrow = torch.hann_window(self.win_length), _blackman_harris(2 * self.win_length)
        stiffness = torch.zeros_like(f0_hz) if stiffness is None else stiffness
        amplitude = self._harmonics(self._power(audio, f0_hz, hann), f0_hz, stiffness) * (2 / hann.sum()) ** 2
        density = self._power(audio, f0_hz, narrow) / narrow.square().sum()
        noise_db = self._noise(10 * torch.log10(density + 1e-12), f0_hz, stiffness)
        return 10 * torch.log10(amplitude + 1e-12), noise_db

    def _power(self, audio: Audio, f0_hz: Tensor, window: Tensor) -> Tensor:
        spectra = stft(audio, self.n_fft, self.hop_length, window.to(audio), pad_mode="constant")
        return power(spectra[:, : f0_hz.shape[1]])

    def _harmonics(self, spectra: Tensor, f0_hz: Tensor, stiffness: Tensor) -> Tensor:
        """Power of the highest bin near each harmonic, by windows of bins that grow with the fundamental."""
        place = partials_hz(f0_hz, stiffness, self.num_harmonics)
        bin_hz = self.sample_rate / self.n_fft
        reach = (self.search * f0_hz / bin_hz).clamp(1, 12)[..., None]
        found = torch.zeros_like(place)
        for offset in range(-12, 13):
            index = (place / bin_hz).round().long() + offset
            inside = (abs(offset) <= reach) & (index < spectra.shape[-1]) & (index >= 0)
            value = spectra.gather(-1, index.clamp(0, spectra.shape[-1] - 1))
            found = torch.where(inside, torch.maximum(found, value), found)
        return torch.where(place < self.sample_rate / 2, found, 0.0)

    def _noise(self, level_db: Tensor, f0_hz: Tensor, stiffness: Tensor) -> Tensor:
        """Weighted mean of decibels between harmonics: triangular bands, wide enough to hold a valley."""
        bin_hz = self.sample_rate / self.n_fft
        freq_hz = torch.arange(level_db.shape[-1], device=level_db.device) * bin_hz
        order = partial_order(freq_hz / f0_hz[..., None].clamp(min=1.0), stiffness)
        off = (order - order.round()).abs()
        clear_hz = (0.38 * f0_hz).clamp(max=2 * self.sample_rate / self.win_length)  # half a main lobe
        between = ((off * f0_hz[..., None] >= clear_hz[..., None]) | (order < 0.5)) & (freq_hz > 20)
        centres = self.centres_hz.to(level_db)
        width_hz = (24.7 * (0.00437 * centres + 1)).clamp(min=60.0)
        bands = []
        for centre, width in zip(centres, width_hz, strict=True):
            reach = torch.maximum(width, f0_hz)[..., None]  # a valley lies within a fundamental of anywhere
            weight = (1 - (freq_hz - centre).abs() / reach).clamp(min=0) * between
            mean = (weight * level_db).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1e-6)
            bands.append(torch.where(weight.sum(dim=-1) > 0, mean + _LOG_MEAN_DB, FLOOR_DB))
        return torch.stack(bands, dim=-1)


def _blackman_harris(size: int) -> Tensor:
    """Periodic four-term window: side lobes 92 dB down (Harris 1978)."""
    turn = 2 * torch.pi * torch.arange(size) / size
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    return sum(term * torch.cos(order * turn) for order, term in enumerate(terms))
