"""CREPE as Neural Guitar hears with it."""

import numpy as np
import torch
from torch import Tensor

from drumblender.dsp.kernels.alone import import_alone
from drumblender.features.tracking import Track, Tracker

_LOWEST_HZ, _HIGHEST_HZ = 50.0, 1000.0
_CHUNK_FRAMES = 64
_STEPS = 12  # to the next bin that Viterbi thinks possible
_FIRST_CENTS, _BIN_CENTS = 1997.3794084376191, 20.0  # above 10 Hz


class PublishedCREPETracker(Tracker):
    """The smallest CREPE (Kim et al. 2018) between 50 and 1000 Hz, decoded by Viterbi 64 frames at a time.

    It hears no sound below 80 Hz and every sound at one level. Chunks are counted from the start, so a sound
    is heard whole. The original's random dither of up to 20 cents is left out: two runs give one pitch, on a
    grid of 20 cents.
    """

    threshold, package = 0.5, "torchcrepe"
    reach_s, hears_end = 0.0, True  # nothing is appended to a sound, however short: its mean would change

    @torch.no_grad()
    def __call__(self, audio: Tensor, sample_rate: int, span_s: float = 20.0) -> Track:
        return super().__call__(audio, sample_rate, max(span_s, len(audio) / sample_rate + 1))

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        torchcrepe = import_alone("torchcrepe")

        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch, confidence = torchcrepe.predict(
            _levelled(audio, self.sample_rate)[None],
            self.sample_rate,
            hop,
            _LOWEST_HZ,
            _HIGHEST_HZ,
            "tiny",
            decoder=_viterbi,
            return_periodicity=True,
            batch_size=_CHUNK_FRAMES,
        )
        pitch, confidence = pitch[0].numpy(force=True), confidence[0].numpy(force=True)
        return np.arange(len(pitch)) * hop / self.sample_rate, pitch, confidence


def _levelled(audio: Tensor, sample_rate: int) -> Tensor:
    """Without a constant offset and what lies below 80 Hz, its peak at 1."""
    from scipy import signal  # slow to import

    sections = signal.butter(4, 80.0, btype="highpass", fs=sample_rate, output="sos")
    heard = torch.from_numpy(signal.sosfilt(sections, (audio - audio.mean()).double().numpy())).to(audio)
    peak = heard.abs().max()
    return heard / peak if peak > 1e-7 else heard


def _viterbi(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Bins and pitches of ``(batch, bins, frames)``; torchcrepe's own dithers by numpy's global generator."""
    place = np.arange(logits.shape[1])
    near = np.maximum(_STEPS - np.abs(place[:, None] - place), 0)
    transition = near / near.sum(axis=1, keepdims=True)
    find = import_alone("librosa.sequence").viterbi
    shares = logits.softmax(dim=1).numpy(force=True)
    bins = torch.from_numpy(np.stack([find(row, transition) for row in shares]).astype(np.int64))
    bins = bins.to(logits.device)
    return bins, bins_to_hz(bins)


def bins_to_hz(bins: Tensor) -> Tensor:
    """Pitch of CREPE's bins, or of places between them: 20 cents apart, from 31.7 Hz on."""
    return 10 * 2 ** ((_BIN_CENTS * bins + _FIRST_CENTS) / 1200)
