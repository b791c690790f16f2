"""Sound files to mono float32 tensors and back, with a reason for every file that cannot be used.

Reads what libsndfile reads: wav, flac, aiff, ogg, mp3 and more, 1 to 32 bit, any rate, any channels.
"""

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import written_aside

AUDIO_SUFFIXES = frozenset(
    (
        ".wav",
        ".flac",
        ".aif",
        ".aiff",
        ".aifc",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".au",
        ".caf",
        ".w64",
        ".rf64",
    )
)
Channel = Literal["first", "mean"]

_SHORTER = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAM_SIZES = (0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)  # written by programs that could not seek back
_LOWEST_RATE = 1000  # Hz; headers with less are damaged, and resampling would make gigabytes of them
_LOUDEST = 1e5  # beyond what a program makes that forgot to scale 16 bits to [-1, 1]
_MAX_TABLE = 1 << 22  # weights of a resampler held at once: 16 MB


class BadAudioError(ValueError):
    """A recording that cannot be used.

    Attributes:
        path: The file; None where the sound came from no file.
        reason: Why, in a few words: the entry in ``rejected.json``.
    """

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}." if path else f"{reason}.")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple:  # crosses from a worker process with both attributes
        return type(self), (self.path, self.reason)


def read_audio(path: Path, sample_rate: int | None = None, channel: Channel = "first") -> tuple[Tensor, int]:
    """A recording in mono.

    Args:
        path: A sound file.
        sample_rate: Resample to this rate; None keeps the file's.
        channel: What becomes of several channels: the first alone, or their mean.

    Returns:
        Float32 ``(samples,)`` and its rate. Integer formats lie in [-1, 1); float formats as they are.

    Raises:
        BadAudioError: Missing, empty, no audio, truncated, of 0 samples, with NaN, infinite or huge samples,
            or with a sample rate below 1000 Hz.
    """
    frames, file_rate = _decode(Path(path))
    mono = frames[:, 0] if channel == "first" else frames.mean(axis=1)
    audio = torch.from_numpy(mono).contiguous()
    if not audio.isfinite().all():
        raise BadAudioError(path, "has NaN or infinite samples")
    if (peak := audio.abs().max()) > _LOUDEST:
        raise BadAudioError(path, f"has samples up to {peak:.1g}, where sound lies in [-1, 1]")
    if sample_rate is None:
        return audio, file_rate
    return resample(audio[None], file_rate, sample_rate)[0], sample_rate


def _decode(path: Path):
    """All frames ``(frames, channels)`` and the rate, or the reason why not."""
    if not path.is_file():
        raise BadAudioError(path, "is missing" if not path.exists() else "is no file")
    if path.stat().st_size == 0:
        raise BadAudioError(path, "is an empty file")
    try:
        with soundfile.SoundFile(path) as file:
            announced, log = file.frames, file.extra_info
            frames = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise BadAudioError(path, _why(error)) from error
    if len(frames) == 0:
        raise BadAudioError(path, "holds no samples")
    if rate < _LOWEST_RATE:
        raise BadAudioError(path, f"has a sample rate of {rate} Hz, which is no sound's")
    if len(frames) < announced or _cut_short(log):
        raise BadAudioError(path, "is truncated")
    return frames, rate


def _why(error: soundfile.LibsndfileError) -> str:
    message = error.error_string.rstrip(".")
    if "not recognised" in message:
        return "is no audio file"
    if "lost sync" in message or "malformed" in message:
        return f"is truncated or damaged ({message})"
    return f"cannot be read ({message})"


def _cut_short(log: str) -> bool:
    """Whether libsndfile, which reads what is there, noted that the header announced more."""
    if "lacks an end-of-stream bit" in log:
        return True
    sizes = [(int(announced), int(there)) for announced, there in _SHORTER.findall(log)]
    return any(announced > there and announced not in _STREAM_SIZES for announced, there in sizes)


def write_wav(path: Path, audio: Float[Tensor, " samples"], sample_rate: int) -> None:
    """A 32-bit float WAV file, under its name only when whole.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    # Not libsndfile, which writes the time of day into float WAV files: equal sounds shall be equal files.
    from scipy.io import wavfile

    with written_aside(Path(path)) as aside:
        wavfile.write(aside, sample_rate, audio.float().numpy(force=True))


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
