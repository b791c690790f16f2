"""Opens a sound file, or says in a few words why it cannot be used."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from drumblender.sound_files import UNREADABLE, printable

_SHORTER = re.compile(
    r"^ *(?:data|SSND|BODY|riff|Data [Ss]ize|Data length) *:? *(\d+) \(?should be (\d+)", re.MULTILINE
)
_FRAMES = re.compile(r"^ *Frames *: (\d+)$", re.MULTILINE)  # in the headers of RF64, AIFF, AVR, MPC
_CUT = ("lacks an end-of-stream bit", "seems to be truncated", "Seems to be a truncated")
_STREAM_SIZES = (0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)  # written by programs that could not seek back
_LOWEST_RATE, _HIGHEST_RATE = 1000, 768_000  # Hz; headers with others are damaged


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


def reason_of(error: Exception) -> str:
    """Why a recording cannot be used, without its name."""
    return error.reason if isinstance(error, BadAudioError) else str(error)


@contextmanager
def open_sound(path: Path, *, any_rate: bool = False) -> Iterator[soundfile.SoundFile]:
    """A sound file to read from; what goes wrong within is told as a reason.

    Args:
        path: The file.
        any_rate: Open it even where it announces a sample rate that no sound has.

    Raises:
        BadAudioError: Missing, empty, no regular file, no audio, damaged.
    """
    _check_file(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            if not (any_rate or _LOWEST_RATE <= file.samplerate <= _HIGHEST_RATE):
                raise BadAudioError(path, f"has a sample rate of {file.samplerate} Hz, which is no sound's")
            yield file
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


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno != errno.EIO:
        return f"cannot be read ({error.strerror})"
    told = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    message = told.rstrip(".")
    if "not recognised" in message:
        if path.suffix.lower() in UNREADABLE:
            return f"is of a format that is not read ({path.suffix}): convert it to WAV or FLAC"
        return "is no audio file"
    if any(word in message for word in ("lost sync", "malformed", "psf_fseek")):
        return f"is truncated or damaged ({message})"
    return f"cannot be read ({message})"


def cut_short(log: str, frames: int) -> bool:
    """Whether libsndfile, which reads what is there, noted that the header announced more."""
    if any(words in log for words in _CUT):
        return True
    sizes = [(int(announced), int(there)) for announced, there in _SHORTER.findall(log)]
    sizes += [(int(announced), frames) for announced in _FRAMES.findall(log)]
    return any(announced > there and announced not in _STREAM_SIZES for announced, there in sizes)
