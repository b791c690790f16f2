"""Fundamental frequency of monophonic sounds, frame by frame. Trackers are not differentiable."""

from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from drumblender.dsp.kernels.alone import import_alone
from drumblender.features.base import Feature

LOWEST_HZ, HIGHEST_HZ = 30.0, 2500.0
_HOP_S = 0.016


class NoPitchError(ValueError):
    """The sound has no pitch in any frame.

    Examples:
        >>> bridge_unvoiced(torch.zeros(4), voiced=torch.zeros(4, dtype=torch.bool))
        Traceback (most recent call last):
            ...
        drumblender.features.pitch.NoPitchError: has no pitch in any frame
    """


def import_penn() -> ModuleType:
    """The package of FCNF0++. Its decoder, torbi, is compiled for some versions of torch only.

    Raises:
        ImportError: It is not installed, or not for this torch.
    """
    try:
        import penn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("FCNF0++ needs penn: pip install 'drumblender[penn]'.") from error
    except OSError as error:  # torbi's own words: a library file that is not there
        raise ImportError(
            f"penn has nothing compiled for torch {torch.__version__}: pip install 'torch<2.12'."
        ) from error
    return penn


class FCNF0Pitch(Feature):
    """FCNF0++ (Morrison et al. 2023) by ``penn``: one pitch in Hz for each hop of a sound.

    Frames whose periodicity is not above ``interp_unvoiced_at`` get a pitch between their voiced neighbours,
    on a straight line in octaves. Needs the extra ``drumblender[penn]``; its weights do not come with it.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples of a hop.
        fmin: Lowest pitch in Hz.
        fmax: Highest pitch in Hz.
        interp_unvoiced_at: Periodicity at and below which a frame has no pitch of its own.
        decoder: How penn reads a pitch from the network.
        center: Where penn puts the first frame.
        batch_size: Frames at once; by default 1024, on CUDA 8192.
        checkpoint: The weights; None lets penn fetch its own from the Hugging Face hub.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * 220 / 16000 * torch.arange(16000))  # doctest: +SKIP
        >>> FCNF0Pitch()(tone[None]).shape  # doctest: +SKIP
        torch.Size([1, 62])
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 256,
        fmin: float = 82.41,
        fmax: float = 1318.51,
        interp_unvoiced_at: float = 0.065,
        decoder: Literal["argmax", "pyin", "viterbi"] = "argmax",
        center: Literal["half-hop", "half-window", "zero"] = "half-hop",
        batch_size: int | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        if hop_length < 1 or not 0 < fmin < fmax:
            raise ValueError(f"Needs a hop and 0 < fmin < fmax, got {hop_length=}, {fmin=}, {fmax=}.")
        if checkpoint is not None and not Path(checkpoint).is_file():
            raise FileNotFoundError(f"No weights of FCNF0++ at {checkpoint}.")
        self.sample_rate, self.hop_length, self.fmin, self.fmax = sample_rate, hop_length, fmin, fmax
        self.interp_unvoiced_at, self.decoder, self.center = interp_unvoiced_at, decoder, center
        self.batch_size, self.checkpoint = batch_size, checkpoint

    @torch.no_grad()
    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... frames"]:
        penn = import_penn()
        on_gpu = audio.device.type == "cuda"
        num_frames = audio.shape[-1] // self.hop_length
        tracks = []
        for sound in audio.reshape(-1, audio.shape[-1]):
            pitch, periodicity = penn.from_audio(
                ((sound - sound.mean()) / (sound.std() + 1e-9))[None],
                self.sample_rate,
                hopsize=self.hop_length / self.sample_rate,
                fmin=self.fmin,
                fmax=self.fmax,
                checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
                batch_size=self.batch_size or (8192 if on_gpu else 1024),
                center=self.center,
                decoder=self.decoder,
                gpu=audio.device.index or 0 if on_gpu else None,
            )
            tracks.append(bridge_unvoiced(pitch[0], periodicity[0] > self.interp_unvoiced_at)[:num_frames])
        return torch.stack(tracks).view(*audio.shape[:-1], -1).to(audio)


class PYINPitch(Feature):
    """Probabilistic YIN (Mauch and Dixon 2014) by ``librosa``: slower, but needs no weights.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples of a hop.
        fmin: Lowest pitch in Hz.
        fmax: Highest pitch in Hz.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * 220 / 16000 * torch.arange(8000))
        >>> f0_hz = PYINPitch()(tone[None])
        >>> f0_hz.shape, round(f0_hz.median().item())
        (torch.Size([1, 31]), 220)
    """

    def __init__(
        self, sample_rate: int = 16000, hop_length: int = 256, fmin: float = 82.41, fmax: float = 1318.51
    ) -> None:
        super().__init__()
        if hop_length < 1 or not 0 < fmin < fmax < sample_rate / 2:
            raise ValueError(
                f"Needs 0 < fmin < fmax < {sample_rate / 2}, got {fmin=}, {fmax=}, {hop_length=}."
            )
        self.sample_rate, self.hop_length, self.fmin, self.fmax = sample_rate, hop_length, fmin, fmax
        window = 2 ** (int(4 * sample_rate / fmin) - 1).bit_length()  # librosa's rule of thumb: four periods
        self.window = max(window, 2048)

    @torch.no_grad()
    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... frames"]:
        num_frames = audio.shape[-1] // self.hop_length
        settings = self.sample_rate, self.fmin, self.fmax, self.window, self.hop_length
        tracks = [
            bridge_unvoiced(*probabilistic_yin(sound, *settings))[:num_frames]
            for sound in audio.reshape(-1, audio.shape[-1])
        ]
        return torch.stack(tracks).view(*audio.shape[:-1], -1).to(audio)


def probabilistic_yin(
    sound: Float[Tensor, "samples"],
    sample_rate: int,
    fmin: float,
    fmax: float,
    frame_length: int,
    hop_length: int,
) -> tuple[Float[Tensor, "frames"], Bool[Tensor, "frames"]]:
    """Pitches in Hz, NaN where there is none, and where there is one; centred frames, float64."""
    pitch, voiced, _ = import_alone("librosa.core.pitch").pyin(
        sound.double().numpy(force=True),
        fmin=fmin,
        fmax=fmax,
        sr=sample_rate,
        frame_length=frame_length,
        hop_length=hop_length,
    )
    return torch.from_numpy(pitch), torch.from_numpy(voiced)


def bridge_unvoiced(pitch_hz: Float[Tensor, "frames"], voiced: torch.Tensor) -> Float[Tensor, "frames"]:
    """Fill unvoiced frames on straight lines in octaves; hold the first voiced one and the last.

    Raises:
        NoPitchError: No frame is voiced.
    """
    if not voiced.any():
        raise NoPitchError("has no pitch in any frame")
    known = voiced.nonzero()[:, 0]
    octaves = torch.log2(pitch_hz[known].double())
    frames = torch.arange(len(pitch_hz), device=pitch_hz.device)
    after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    before = (after - (known[after] > frames).long()).clamp(min=0)
    gap = (known[after] - known[before]).clamp(min=1)
    share = ((frames - known[before]) / gap).clamp(0, 1).double()
    return torch.exp2(octaves[before] + share * (octaves[after] - octaves[before])).to(pitch_hz.dtype)


def guess_f0(
    audio: Float[Tensor, "samples"], sample_rate: int, num_frames: int = 1
) -> Float[Tensor, "1 {num_frames} 1"]:
    """The fundamental in Hz by probabilistic YIN (Mauch and Dixon 2014), from librosa.

    Frames without a pitch get one on a line between their neighbours. A single frame is the median of the
    frames with a pitch.

    Raises:
        ValueError: The sound has no pitch anywhere.
    """
    highest = min(HIGHEST_HZ, sample_rate / 4)
    hop = max(1, round(_HOP_S * sample_rate))
    length = 1 << int(np.ceil(np.log2(4 * sample_rate / LOWEST_HZ)))  # four periods of the lowest pitch
    length = min(length, 1 << int(np.log2(max(len(audio), 64))))
    lowest = max(LOWEST_HZ, 2.5 * sample_rate / length)
    f0_hz, voiced = probabilistic_yin(audio, sample_rate, lowest, highest, length, hop)
    if not voiced.any():
        raise NoPitchError(
            f"Found no pitch between {lowest:.0f} and {highest:.0f} Hz; give it with --fix f0_hz=HZ."
        )
    if num_frames == 1:
        return torch.tensor([[[np.median(f0_hz[voiced].numpy())]]], dtype=torch.float32)
    octaves = bridge_unvoiced(f0_hz, voiced).log2().numpy()
    line = np.interp(np.linspace(0, len(octaves) - 1, num_frames), np.arange(len(octaves)), octaves)
    return torch.from_numpy(2**line).float().reshape(1, num_frames, 1)
