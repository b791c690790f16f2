"""Sound files to mono float32 tensors and back, with a reason for every file that cannot be used.

Reads what libsndfile reads: wav, flac, aiff, ogg, mp3 and more, 1 to 32 bit, any rate, any channels.
"""

import errno
import io
import math
import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.sound_files import UNREADABLE, printable

Channel = Literal["auto", "first", "mean"]
"""What becomes of several channels: the first alone, their mean, or the louder of these two."""
Offset = Literal["remove", "keep"]
"""What becomes of a constant offset (direct current)."""

LONGEST_S = 600.0
"""Length that is read of a recording unless asked otherwise, in seconds: what bounds the memory."""

_SHORTER = re.compile(
    r"^ *(?:data|SSND|BODY|riff|Data [Ss]ize|Data length) *:? *(\d+) \(?should be (\d+)", re.MULTILINE
)
_FRAMES = re.compile(r"^ *Frames *: (\d+)$", re.MULTILINE)  # in the headers of RF64, AIFF, AVR, MPC
_CUT = ("lacks an end-of-stream bit", "seems to be truncated", "Seems to be a truncated")
_STREAM_SIZES = (0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)  # written by programs that could not seek back
_LOWEST_RATE, _HIGHEST_RATE = 1000, 768_000  # Hz; headers with others are damaged
_LOUDEST = 1e5  # beyond what a program makes that forgot to scale 16 bits to [-1, 1]
_MAX_TABLE = 1 << 22  # weights of a resampler held at once: 16 MB
_BLOCK = 1 << 22  # samples of all channels that are decoded at once: 16 MB
_STREAMED = 1 << 18  # and where a recording streams by: seconds
_STEADY_S = 0.1  # two periods of the lowest tone that is heard


class BadAudioError(ValueError):
    """A recording that cannot be used.

    Attributes:
        path: The file; None where the sound came from no file.
        reason: Why, in a few words: the entry in ``rejected.json``.
    """

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(f"{printable(path)}: {reason}." if path else f"{reason}.")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple:  # crosses from a worker process with both attributes
        return type(self), (self.path, self.reason)


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
        dc: ``remove`` a constant offset; see :func:`remove_offset`.
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
    peak = torch.stack(audio.aminmax()).abs().max()  # of NaN where one is; no copy of all
    if not peak.isfinite():
        raise BadAudioError(path, "has NaN or infinite samples")
    if peak > _LOUDEST:
        raise BadAudioError(path, f"has samples up to {peak:.1g}, where sound lies in [-1, 1]")
    if dc == "remove":
        audio = remove_offset(audio, rate)
    if sample_rate is not None and sample_rate != rate:
        audio, rate = resample(audio[None], rate, sample_rate)[0], sample_rate
    return Recorded(audio, rate, heard, whole)


def _decode(path: Path, channel: Channel, longest_s: float) -> tuple[np.ndarray, int, str, bool]:
    """One channel, its rate, which it is in words, and whether the file ends there; or why it is no good."""
    _check_file(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            rate, channels, announced = file.samplerate, file.channels, file.frames
            if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                raise BadAudioError(path, f"has a sample rate of {rate} Hz, which is no sound's")
            limit = math.ceil(longest_s * rate)
            parts = [_mono(block, channel) for block in _blocks(file, limit)]
            log = file.extra_info
    except (soundfile.SoundFileError, OSError, OverflowError) as error:
        raise BadAudioError(path, _why(path, error)) from error
    frames = sum(len(part[0]) for part in parts)
    if frames < min(announced, limit) or (frames < limit and _cut_short(log, frames)):
        raise BadAudioError(path, f"is truncated: it holds {frames} samples and announces more")
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
    _check_file(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return file.samplerate, file.channels, file.frames
    except (soundfile.SoundFileError, OSError) as error:
        raise BadAudioError(path, _why(path, error)) from error


def read_blocks(path: Path) -> Iterator[Float[Tensor, "samples"]]:
    """A recording of any length in mono (the mean of its channels), a few seconds at a time.

    Memory does not grow with its length. Integer formats lie in [-1, 1); float formats as they are.

    Raises:
        BadAudioError: As :func:`read_audio`, with the block in which it shows.
    """
    rate, channels, _ = header_of(path)
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise BadAudioError(path, f"has a sample rate of {rate} Hz, which is no sound's")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            for block in file.blocks(max(1, _STREAMED // channels), dtype="float32", always_2d=True):
                mono = torch.from_numpy(block.mean(axis=1))
                if not mono.isfinite().all():
                    raise BadAudioError(path, "has NaN or infinite samples")
                yield mono
    except (soundfile.SoundFileError, OSError, OverflowError) as error:
        raise BadAudioError(path, _why(path, error)) from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadAudioError(path, "is a link to nothing" if path.is_symlink() else "is missing") from error
    except OSError as error:  # a name that is too long, a link to itself, a folder that is shut
        raise BadAudioError(path, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise BadAudioError(path, "is a folder" if path.is_dir() else "is no regular file")
    if status.st_size == 0:
        raise BadAudioError(path, "is an empty file")
    if path.suffix.lower() in (".raw", ".pcm"):
        raise BadAudioError(path, "has no header that tells its sample rate: save it as WAV")


def _blocks(file: soundfile.SoundFile, limit: int) -> Iterator[np.ndarray]:
    """Frames ``(frames, channels)``, until the file ends, whatever it announces, or ``limit`` is reached."""
    size, done = max(1, _BLOCK // file.channels), 0
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


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno != errno.EIO:
        return f"cannot be read ({error.strerror})"
    message = getattr(error, "error_string", str(error)).rstrip(".")
    if "not recognised" in message:
        if path.suffix.lower() in UNREADABLE:
            return f"is of a format that is not read ({path.suffix}): convert it to WAV or FLAC"
        return "is no audio file"
    if any(word in message for word in ("lost sync", "malformed", "psf_fseek")):
        return f"is truncated or damaged ({message})"
    return f"cannot be read ({message})"


def too_long(longest_s: float) -> str:
    """The reason to refuse a recording of which only the first ``longest_s`` were read."""
    return f"is longer than {longest_s:g} s, the most that is read: cut it, or raise longest_s"


def _cut_short(log: str, frames: int) -> bool:
    """Whether libsndfile, which reads what is there, noted that the header announced more."""
    if any(words in log for words in _CUT):
        return True
    sizes = [(int(announced), int(there)) for announced, there in _SHORTER.findall(log)]
    sizes += [(int(announced), frames) for announced in _FRAMES.findall(log)]
    return any(announced > there and announced not in _STREAM_SIZES for announced, there in sizes)


def remove_offset(audio: Float[Tensor, "samples"], sample_rate: int) -> Float[Tensor, "samples"]:
    """The sound without a constant offset, if it has one.

    The offset is the mean of the steadiest tenth of a second, if it stands out there: if it is more than a
    quarter of what is left without it. The mean of all of a hit would move the silence around the hit. A
    shorter sound is returned as it is.

    Examples:
        >>> remove_offset(torch.full((4800,), 0.01), 48000).abs().max()
        tensor(0.)
    """
    size = round(_STEADY_S * sample_rate)
    if len(audio) < size:
        return audio
    windows = audio[: len(audio) // size * size].reshape(-1, size).double()
    spread, mean = torch.std_mean(windows, dim=1, correction=0)
    steadiest = spread.argmin()
    offset = mean[steadiest]
    return audio - offset.to(audio) if offset.abs() > spread[steadiest] / 4 else audio


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


def resample(
    audio: Float[Tensor, "batch samples"], from_rate: int, to_rate: int
) -> Float[Tensor, "batch resampled"]:
    """Another sample rate by a Hann-windowed sinc, 6 zero crossings wide, rolled off at 0.99 of Nyquist.

    The numbers of ``torchaudio.transforms.Resample`` for any pair of rates. The length is that of the sound,
    rounded up.
    """
    if min(from_rate, to_rate) < 1:
        raise ValueError(f"Sample rates are at least 1, got {from_rate=} and {to_rate=}.")
    if from_rate == to_rate:
        return audio
    divisor = math.gcd(from_rate, to_rate)
    if (from_rate // divisor) * (to_rate // divisor) <= _MAX_TABLE:
        return _resampler(from_rate, to_rate)(audio)
    return _resample_unrelated(audio, from_rate, to_rate)


@lru_cache(maxsize=16)
def _resampler(from_rate: int, to_rate: int):
    # torchaudio takes half a second to import.
    from torchaudio.transforms import Resample

    return Resample(from_rate, to_rate)


def _resample_unrelated(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """The same sum for rates like 44100 and 47999, whose table of weights would take gigabytes.

    Each output sample gets its own few weights instead of one row of a table.
    """
    width, rolloff = 6, 0.99
    base = min(from_rate, to_rate) * rolloff
    reach = math.ceil(width * from_rate / base)
    num_samples = audio.shape[-1]
    taps = torch.arange(-reach, reach + 1)
    blocks = []
    for place in torch.arange(math.ceil(num_samples * to_rate / from_rate)).split(_MAX_TABLE // len(taps)):
        numerator = place * from_rate  # exact: input position = numerator / to_rate
        index = (numerator // to_rate)[:, None] + taps
        offset = taps - (numerator % to_rate)[:, None].double() / to_rate
        time = (offset * (base / from_rate)).clamp(-width, width)
        weight = torch.sinc(time) * torch.cos(time * (torch.pi / width / 2)) ** 2 * (base / from_rate)
        weight = weight.float() * ((index >= 0) & (index < num_samples))
        blocks.append((audio[:, index.clamp(0, num_samples - 1)] * weight).sum(dim=-1))
    return torch.cat(blocks, dim=-1)
