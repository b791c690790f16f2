"""Sound files to mono float32 tensors and back, with a reason for every file that cannot be used.

Reads what libsndfile reads: wav, flac, aiff, ogg, mp3 and more, 1 to 32 bit, any rate, any channels.
"""

import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.dsp.checks import one_sound
from drumblender.dsp.offset import remove_offset
from drumblender.dsp.resample import hann_resample
from drumblender.open_sound import BadAudioError, cut_short, open_sound

Channel = Literal["auto", "first", "mean"]
"""What becomes of several channels: the first alone, their mean, or the louder of these two."""
Offset = Literal["remove", "keep"]
"""What becomes of a constant offset (direct current)."""

LONGEST_S = 600.0
"""Length that is read of a recording unless asked otherwise, in seconds: what bounds the memory."""

_LOUDEST = 1e5  # beyond what a program makes that forgot to scale 16 bits to [-1, 1]
_BLOCK = 1 << 22  # samples of all channels that are decoded at once: 16 MB
_STREAMED = 1 << 18  # and where a recording streams by: seconds


class Recorded(NamedTuple):
    """A recording in mono.

    Attributes:
        audio: Float32 ``(samples,)``. Integer formats lie in [-1, 1); float formats as they are.
        sample_rate: In Hz.
        channel: Which of its channels that is, in words; empty where it has but one.
        whole: Whether the recording ends with it.
    """

    audio: Float[Tensor, "samples"]
    sample_rate: int
    channel: str
    whole: bool


def read_audio(
    path: Path,
    sample_rate: int | None = None,
    channel: Channel = "auto",
    *,
    dc: Offset = "keep",
    longest_s: float = LONGEST_S,
) -> tuple[Tensor, int]:
    """A recording in mono.

    Args:
        path: A sound file.
        sample_rate: Resample to this rate; None keeps the file's.
        channel: What becomes of several channels; ``auto`` is the louder of ``first`` and ``mean``.
        dc: ``remove`` a constant offset; see :func:`~drumblender.dsp.offset.remove_offset`.
        longest_s: A longer recording is refused, so that memory has a bound.

    Returns:
        Float32 ``(samples,)`` and its rate. Integer formats lie in [-1, 1); float formats as they are.

    Raises:
        BadAudioError: Missing, empty, no audio, truncated, of 0 samples, longer than ``longest_s``, with NaN,
            infinite or huge samples, or with a sample rate that no sound has.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.wav"
        >>> write_wav(file, torch.tensor([0.0, 0.5, -0.5]), 48000)
        >>> read_audio(file)
        (tensor([ 0.0000,  0.5000, -0.5000]), 48000)
    """
    recorded = read_recording(path, sample_rate, channel, dc=dc, longest_s=longest_s)
    if not recorded.whole:
        raise BadAudioError(path, too_long(longest_s))
    return recorded.audio, recorded.sample_rate


def read_recording(
    path: Path,
    sample_rate: int | None = None,
    channel: Channel = "auto",
    *,
    dc: Offset = "keep",
    longest_s: float = LONGEST_S,
) -> Recorded:
    """As :func:`read_audio`, but of a longer recording the first ``longest_s``."""
    path = Path(path)
    try:
        mono, rate, heard, whole = _decode(path, channel, longest_s)
    except MemoryError as error:
        raise BadAudioError(path, "needs more memory than there is") from error
    audio = torch.from_numpy(mono)
    _check_samples(path, audio)
    if dc == "remove":
        audio = remove_offset(audio, rate)
    if sample_rate is not None and sample_rate != rate:
        audio, rate = hann_resample(audio[None], rate, sample_rate)[0], sample_rate
    return Recorded(audio, rate, heard, whole)


def _decode(path: Path, channel: Channel, longest_s: float) -> tuple[np.ndarray, int, str, bool]:
    """One channel, its rate, which it is in words, and whether the file ends there; or why it is no good."""
    with open_sound(path) as file:
        rate, channels, announced = file.samplerate, file.channels, file.frames
        limit = math.ceil(longest_s * rate)
        parts = [_mono(block, channel) for block in _blocks(file, limit, _BLOCK)]
        log = file.extra_info
    frames = sum(len(part[0]) for part in parts)
    if frames < min(announced, limit) or (frames < limit and cut_short(log, frames)):
        raise BadAudioError(path, _truncated(frames))
    if frames == 0:
        raise BadAudioError(path, "holds no samples")
    heard = [np.concatenate(part) for part in zip(*parts, strict=True)]
    first, mean = "the first channel", f"the mean of {channels} channels"
    if len(heard) == 2:
        louder = int(heard[1].var() > heard[0].var())  # the variance, which no offset adds to
        return heard[louder], rate, (first, mean)[louder], announced <= limit
    name = "" if channels == 1 else first if channel == "first" else mean
    return heard[0], rate, name, announced <= limit


def header_of(path: Path) -> tuple[int, int, int]:
    """Sample rate, channels and frames that a sound file announces.

    Raises:
        BadAudioError: No sound file.
    """
    with open_sound(path, any_rate=True) as file:
        return file.samplerate, file.channels, file.frames


def read_blocks(path: Path) -> Iterator[Float[Tensor, "samples"]]:
    """A recording of any length in mono (the mean of its channels), a few seconds at a time.

    Memory does not grow with its length. Integer formats lie in [-1, 1); float formats as they are.

    Raises:
        BadAudioError: As :func:`read_audio`, but for the length: before the first block where the header
            shows it, else with the block in which it shows. A file that is cut short inside shows it last.
    """
    with open_sound(path) as file:
        announced, frames = file.frames, 0
        if cut_short(file.extra_info, announced):
            raise BadAudioError(path, _truncated(announced))
        for block in _blocks(file, sys.maxsize, _STREAMED):
            frames += len(block)
            mono = torch.from_numpy(block.mean(axis=1))
            if len(mono):
                _check_samples(path, mono)
                yield mono
        if frames < announced or cut_short(file.extra_info, frames):
            raise BadAudioError(path, _truncated(frames))


def _truncated(frames: int) -> str:
    return f"is truncated: it holds {frames} samples and announces more"


def _check_samples(path: Path, audio: Float[Tensor, "samples"]) -> None:
    peak = torch.stack(audio.aminmax()).abs().max()  # of NaN where one is; no copy of all
    if not peak.isfinite():
        raise BadAudioError(path, "has NaN or infinite samples")
    if peak > _LOUDEST:
        raise BadAudioError(path, f"has samples up to {peak:.1g}, where sound lies in [-1, 1]")


def _blocks(file: soundfile.SoundFile, limit: int, samples: int) -> Iterator[np.ndarray]:
    """Frames ``(frames, channels)``, until the file ends, whatever it announces, or ``limit`` is reached.

    ``samples`` are those of all channels that are decoded at once.
    """
    size, done = max(1, samples // file.channels), 0
    while done < limit:
        asked = min(size, limit - done)
        block = file.read(asked, dtype="float32", always_2d=True)
        done += len(block)
        yield block
        if len(block) < asked:
            return


def _mono(block: np.ndarray, channel: Channel) -> tuple[np.ndarray, ...]:
    """What is kept of a block: first channel, mean, or both."""
    if channel == "first" or block.shape[1] == 1:
        return (np.ascontiguousarray(block[:, 0]),)
    mean = block.mean(axis=1)
    return (mean,) if channel == "mean" else (np.ascontiguousarray(block[:, 0]), mean)


def too_long(longest_s: float) -> str:
    """The reason to refuse a recording of which only the first ``longest_s`` were read."""
    return f"is longer than {longest_s:g} s, the most that is read: cut it (data may raise longest_s)"


def write_audio(path: str | Path, audio: Tensor | np.ndarray, sample_rate: int) -> None:
    """Write one mono sound as a 32-bit float WAV file, which :func:`read_audio` reads again.

    Args:
        path: Ends in ``.wav``.
        audio: Samples in a row, of torch or NumPy; a batch of one is taken as that one.
        sample_rate: Samples per second.

    Raises:
        ValueError: No such sound, a rate below 1, or another suffix.
        OSError: The disk is full or the folder cannot be written.

    Examples:
        >>> write_audio("sine.wav", np.sin(np.arange(4800.0)), 48000)
        >>> write_audio("sine.mp3", torch.zeros(100), 48000)
        Traceback (most recent call last):
            ...
        ValueError: sine.mp3 would be a WAV file: name it sine.wav.
    """
    path, sound = Path(path), one_sound(audio)
    if path.suffix.lower() != ".wav":
        raise ValueError(f"{path} would be a WAV file: name it {path.with_suffix('.wav').name}.")
    if sample_rate < 1:
        raise ValueError(f"A sound has at least 1 sample a second, got {sample_rate=}.")
    write_wav(path, sound, sample_rate)


def write_wav(path: Path, audio: Float[Tensor, " samples"], sample_rate: int) -> None:
    """A 32-bit float WAV file, under its name only when whole.

    Raises:
        OSError: The disk is full or the folder cannot be written.

    Examples:
        >>> write_wav("sine.wav", torch.sin(torch.arange(4800.0)), 48000)
        >>> read_audio("sine.wav", sample_rate=16000)[0].shape
        torch.Size([1600])
    """
    # Not libsndfile, which writes the time of day into float WAV files: equal sounds shall be equal files.
    from scipy.io import wavfile

    content = io.BytesIO()  # numpy does not say why it could not write to a file: the disk is full
    wavfile.write(content, sample_rate, audio.float().numpy(force=True))
    with atomic_write(Path(path)) as aside:
        aside.write_bytes(content.getbuffer())
