"""Timbre transfer live: sound in, sound out, block by block, with a constant delay."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.checkpoints import load_played
from drumblender.features.curve_stream import CurveStream
from drumblender.features.note_curves import NoteCurves
from drumblender.inference.frame_step import Player
from drumblender.inference.live_curves import CurveAdapter, Live
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.transfer import TransferStream
from drumblender.inference.transfer_command import instrument_of, room_of
from drumblender.inference.transfer_curves import Curves, Instrument
from drumblender.synths.reverb import Room

_LOUDEST = 1e3  # 60 dB above full scale; more would be no number further on
_OFFSET_HZ = 5.0
"""What changes more slowly is no sound; the lowest voice is ten times as high."""


class PlaysCurves(Protocol):
    """What turns frames of curves into sound: ``TransferStream``, or ``SteppedStream`` of a traced model."""

    def push(self, curves: Curves) -> Float[Tensor, "samples"]: ...


class LiveTransfer:
    """An instrument played by sound as it comes: a block in, a block of the same length out.

    The sound is the same whatever the blocks, and starts ``latency_samples`` after what it follows. The pitch
    is tracked by YIN, which needs no later sound than half of its frame.

    Args:
        player: A trained controller that was told its synth.
        measure: The curves that it was trained with, at its sample rate; YIN replaces their tracker.
        options: What to change.
        instrument: The range of its training.
        room: The room that it learned, to be heard.
        yin_frame: Samples that YIN hears. 1024 are 32 ms sooner than 2048, and less sure of low notes.
        n_fft: Points of the noise's FFT.
        engine: Plays the curves; None: the player itself, by ``TransferStream``.

    Examples:
        >>> from drumblender.controllers import HarmonicControls
        >>> from drumblender.encoders import ControlGRU
        >>> from drumblender.synths import HarmonicSynth
        >>> player = HarmonicControls(ControlGRU(8))
        >>> player.serve(HarmonicSynth(num_harmonics=20))
        >>> live = LiveTransfer(player, NoteCurves(tracker="yin"))
        >>> voice = 0.1 * torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000)
        >>> sound = torch.cat([live.process(block) for block in voice.split(256)])
        >>> sound.shape, live.latency_samples, bool(sound[: live.latency_samples].any())
        (torch.Size([16000]), 1503, False)
    """

    def __init__(
        self,
        player: Player,
        measure: NoteCurves,
        options: Live | None = None,
        instrument: Instrument | None = None,
        room: Room | None = None,
        yin_frame: int = 2048,
        n_fft: int = 1024,
        engine: Callable[[], PlaysCurves] | None = None,
    ) -> None:
        self._options, self._instrument = options or Live(), instrument
        self.sample_rate, hop = measure.sample_rate, measure.hop_length
        self._curves = CurveStream(measure, yin_frame)
        self._engine = engine or (lambda: TransferStream(player, hop, self._options.seed, n_fft, room))
        ahead = n_fft // 2 - hop if "magnitude" in player.names else 0
        waited = self._curves.reach_samples + CurveAdapter.late_frames * hop + ahead
        self.latency_samples = waited + hop - 1
        self._hop_s = hop / self.sample_rate
        from scipy.signal import lfilter  # slow to import: here, and not while a block waits

        self._filter = lfilter
        self._keeps = math.exp(-2 * math.pi * _OFFSET_HZ / self.sample_rate)
        self.reset()

    def reset(self) -> None:
        """Start again at sample 0."""
        self._curves.reset()
        self._adapter = CurveAdapter(self._options, self._instrument, self._hop_s)
        self._stream = self._engine()
        self._memory = np.zeros(1)  # of what takes the offset away
        self._ready = torch.zeros(self.latency_samples)

    def process(self, block: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """The next samples of the instrument, of the kind that is given; input that is no number counts as 0.

        A constant offset, as cheap converters have, is no sound: what lies below 5 Hz is not heard.

        Args:
            block: ``(samples,)`` of torch or NumPy.

        Raises:
            ValueError: The block is not mono.
        """
        if isinstance(block, np.ndarray):
            return self.process(torch.from_numpy(block)).numpy()
        with torch.inference_mode():  # a fifth less time for a model of small operations
            curves = self._adapter.push(self._curves.push(self._without_offset(block)))
            if len(curves["f0_hz"]):
                self._ready = torch.cat([self._ready, self._stream.push(curves)])
            played, self._ready = self._ready[: len(block)], self._ready[len(block) :]
        return played.clone()  # which may be written to

    def _without_offset(self, block: Float[Tensor, "samples"]) -> Float[Tensor, "samples"]:
        """``y[n] = x[n] - x[n-1] + r y[n-1]``, from block to block."""
        if block.ndim != 1 or not len(block):
            return block
        x = block.double().nan_to_num(posinf=0.0, neginf=0.0).clamp(-_LOUDEST, _LOUDEST).numpy()
        y, self._memory = self._filter([1.0, -1.0], [1.0, -self._keeps], x, zi=self._memory)
        return torch.from_numpy(y).float()


def open_live(
    checkpoint: str | Path, options: Live | None = None, *, yin_frame: int = 2048, dry: bool = False
) -> LiveTransfer:
    """A trained model of timbre transfer, to be played live.

    Args:
        checkpoint: A file, or the name of a shipped one, such as ``checkpoints/guitar``.
        options: What to change.
        yin_frame: As of :class:`LiveTransfer`.
        dry: Leave out the room that it learned.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It holds another kind of model.
    """
    loaded = load_played(find_checkpoint(checkpoint))
    if loaded.task.verb != "transfer":
        raise ValueError(f"{checkpoint} holds a {loaded.kind}, which is not played live.")
    room = None if dry else room_of(loaded.task)
    return LiveTransfer(
        loaded.task.player, loaded.data.curves, options, instrument_of(loaded.task), room, yin_frame
    )
