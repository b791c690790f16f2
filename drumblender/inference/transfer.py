"""Timbre transfer: plays an instrument from the curves of a voice, block by block."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.dsp.resample import hann_resample
from drumblender.features.integrated_loudness import IntegratedLoudness
from drumblender.features.note_curves import NoteCurves
from drumblender.inference.frame_step import Player, controls_of
from drumblender.inference.streamed import BLOCK_S, MARGIN_S, Streamed
from drumblender.inference.transfer_curves import Curves, Instrument, Transfer, adapt, audible
from drumblender.synths.harmonic_stream import HarmonicStream, NoiseStream, RoomStream
from drumblender.synths.reverb import Room
from drumblender.synths.stretched_stream import StretchedStream

log = logging.getLogger(__name__)

Watch = Callable[[Iterable[Any], int, str], Iterator[Any]]
"""Passes items through and tells how many of how many there were, as :func:`~drumblender.console.track`."""

_FRAMES = 512  # rendered at once
_SCALED_SAMPLES = 1 << 18  # at once
_PEAK, _LUFS, _SOFTEST_LUFS = 0.95, -23.0, -70.0
QUIETEST_PEAK = 1e-3
"""Below, a sound counts as silence and is not made louder."""


@dataclass(frozen=True)
class Transferred:
    """What became of a recording.

    Attributes:
        seconds: Its length.
        peak: Of the instrument, before normalisation.
        surest: The largest periodicity of what is louder than -60 dB; None where nothing is.
    """

    seconds: float
    peak: float
    surest: float | None

    def why_silent(self, options: Transfer) -> str | None:
        """What made silence of it, and what to do about that; None where it sounds.

        Examples:
            >>> Transferred(seconds=3.0, peak=0.0, surest=None).why_silent(Transfer())
            'nothing in it is louder than -60 dB'
        """
        if self.peak >= QUIETEST_PEAK:
            return None
        if self.surest is None:
            return "nothing in it is louder than -60 dB"
        if self.surest < options.unvoiced_below:
            return (
                f"no pitch in it is surer than {self.surest:.2f}, and what is below "
                f"{options.unvoiced_below:g} does not sound; --unvoiced 0 plays all"
            )
        softer = f"--gain {options.gain_db:g} is too low for it" if options.gain_db < 0 else "it is too soft"
        return f"{softer}; --gain makes it louder"


class TransferStream:
    """Plays frames of curves as they come, with the state of controller and synths carried along.

    Frames in blocks of any number give the same sound; it lags by half an FFT of the noise.

    Args:
        player: A trained controller that was told its synth.
        hop_length: Samples from frame to frame.
        seed: Of the noise.
        n_fft: Points of the noise's FFT.
        room: A room around the sound.
    """

    def __init__(
        self,
        player: Player,
        hop_length: int = 160,
        seed: int = 0,
        n_fft: int = 1024,
        room: Room | None = None,
    ) -> None:
        self.player = player.eval()
        stream = StretchedStream if "stiffness" in player.names else HarmonicStream
        self._harmonics = stream(player.sample_rate, hop_length)
        self._noise = NoiseStream(hop_length, n_fft, seed) if "magnitude" in player.names else None
        self._room = RoomStream(room) if room is not None and room.on else None
        self._state: Any = None
        self._waiting = torch.zeros(0)  # harmonics that the noise has not caught up with

    @torch.no_grad()
    def push(self, curves: Curves) -> Float[Tensor, "samples"]:
        """The sound as far as it is final, from the next frames ``(frames,)`` of every curve.

        Raises:
            ValueError: A curve that the controller hears is missing.
        """
        if missing := sorted(set(self.player.hears) - set(curves)):
            raise ValueError(f"The model hears {missing}; the curves are {sorted(curves)}.")
        batch = {name: curve[None] for name, curve in curves.items()}
        features, encoder = None, self.player.encoder
        if encoder is not None:
            features, self._state = encoder.advance(self._state, *(batch[name] for name in encoder.hears))
        controls = controls_of(self.player, features, batch)
        stiffness = [controls["stiffness"][0, :, 0]] if "stiffness" in controls else []
        played = self._harmonics.push(curves["f0_hz"], *stiffness, controls["amp"][0])
        if self._noise is None:
            return self._around(played)
        return self._around(self._join(played, self._noise.push(controls["magnitude"][0])))

    def finish(self) -> Float[Tensor, "samples"]:
        """The rest, up to the last frame."""
        if self._noise is None:
            return torch.zeros(0)
        return self._around(self._join(torch.zeros(0), self._noise.finish()))

    def _around(self, sound: Tensor) -> Tensor:
        return sound if self._room is None else self._room.push(sound)

    def _join(self, played: Tensor, noise: Tensor) -> Tensor:
        self._waiting = torch.cat([self._waiting, played])
        ready, self._waiting = self._waiting[: len(noise)], self._waiting[len(noise) :]
        return ready + noise[: len(ready)]


def unwatched(items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
    """Tells nothing."""
    yield from items


@torch.no_grad()
def curves_of(path: Path | Streamed, measure: NoteCurves, watch: Watch = unwatched) -> Curves:
    """Curves of a recording of any length, rate and channels; nothing but they grows with its length.

    Raises:
        BadAudioError: The recording cannot be used.
    """
    hop, place = measure.hop_length, 0
    voice = path if isinstance(path, Streamed) else Streamed.of(path)
    most = -(-voice.frames * measure.sample_rate // (voice.sample_rate * hop)) + 1
    joined: Curves = {}  # made whole first: pieces would hold on to the memory of the blocks between them
    blocks = voice.overlapped(measure.sample_rate)
    for heard, before, length in watch(blocks, -(-voice.frames // (BLOCK_S * voice.sample_rate)), "Hearing"):
        curves, first = measure(heard[None]), before // hop
        count = -(-length // hop)
        for name, curve in curves.items():
            whole = joined.setdefault(name, curve.new_empty(most))
            whole[place : place + count] = curve[0, first : first + count]
        place += count
    return {name: torch.cat([curve[:place], curve[place - 1 : place]]) for name, curve in joined.items()}


def render(
    player: Player, curves: Curves, hop_length: int, seed: int = 0, room: Room | None = None
) -> Iterator[Float[Tensor, "samples"]]:
    """The sound of all frames, in blocks."""
    stream = TransferStream(player, hop_length, seed, room=room)
    for start in range(0, len(curves["f0_hz"]), _FRAMES):
        yield stream.push({name: curve[start : start + _FRAMES] for name, curve in curves.items()})
    yield stream.finish()


def transfer_file(
    player: Player,
    source: Path,
    target: Path,
    options: Transfer,
    measure: NoteCurves,
    instrument: Instrument | None = None,
    room: Room | None = None,
    watch: Watch = unwatched,
) -> Transferred:
    """Play a recording as the instrument; the file has its rate and length.

    Of a recording of any length a block is in memory at a time, beside its curves (14 MB an hour).

    Args:
        player: A trained controller that was told its synth.
        source: The voice.
        target: A WAV file, under its name only when whole.
        options: What to change.
        measure: The curves that the model was trained with.
        instrument: The range of its training.
        room: The room that it learned, to be heard.
        watch: Is told how far it is.

    Raises:
        BadAudioError: The recording cannot be used.
    """
    voice = Streamed.of(source)
    rate, total = voice.sample_rate, voice.frames
    hop, own_rate = measure.hop_length, measure.sample_rate
    heard = curves_of(voice, measure, watch)
    sounds = audible(heard["loudness_db"])
    surest = float(heard["periodicity"][sounds].max()) if sounds.any() else None
    curves = adapt(heard, options, instrument, hop / own_rate)
    meter, peak = IntegratedLoudness(own_rate), 0.0
    pushes = -(-len(curves["f0_hz"]) // _FRAMES) + 1
    blocks = watch(render(player, curves, hop, options.seed, room), pushes, "Playing")
    blocks = _metered(blocks, meter) if options.normalize == "lufs" else blocks
    with atomic_write(target) as aside:
        with soundfile.SoundFile(aside, "w", rate, 1, "FLOAT", format="WAV") as file:
            for block in _at_rate(blocks, own_rate, rate, total):
                file.write(block.numpy())
                peak = max(peak, float(block.abs().max())) if len(block) else peak
        if options.normalize != "none" and peak > QUIETEST_PEAK:  # silence stays silence
            missing_db = _LUFS - max(meter.lufs(), _SOFTEST_LUFS)
            _scale(aside, _PEAK / peak if options.normalize == "peak" else 10 ** (missing_db / 20))
    return Transferred(total / rate, peak, surest)


def _metered(blocks: Iterable[Tensor], meter: IntegratedLoudness) -> Iterator[Tensor]:
    for block in blocks:
        meter.push(block)
        yield block


def _scale(path: Path, gain: float) -> None:
    """Multiply the samples of a file, in place."""
    with soundfile.SoundFile(path, "r+") as file:
        for start in range(0, file.frames, _SCALED_SAMPLES):
            file.seek(start)
            block = file.read(_SCALED_SAMPLES, dtype="float32")
            file.seek(start)
            file.write(gain * block)


def _at_rate(blocks: Iterator[Tensor], from_rate: int, to_rate: int, total: int) -> Iterator[Tensor]:
    """The blocks at another rate, ``total`` samples of it: whole seconds with a second around each."""
    held, before, written = torch.zeros(0), 0, 0
    for block in blocks:
        held = torch.cat([held, block])
        while len(held) - before >= (BLOCK_S + MARGIN_S) * from_rate:
            piece = hann_resample(
                held[None, : before + (BLOCK_S + MARGIN_S) * from_rate], from_rate, to_rate
            )[0]
            start = before // from_rate * to_rate
            yield piece[start : start + BLOCK_S * to_rate][: total - written]
            written += BLOCK_S * to_rate
            held = held[before + (BLOCK_S - MARGIN_S) * from_rate :]
            before = MARGIN_S * from_rate
    if written < total:
        rest = hann_resample(held[None], from_rate, to_rate)[0][before // from_rate * to_rate :]
        rest = torch.nn.functional.pad(rest, (0, max(0, total - written - len(rest))))
        yield rest[: total - written]
