"""A verb that takes a folder: where each recording goes, and what is told in the end."""

import logging
from collections.abc import Sequence
from pathlib import Path

from drumblender.open_sound import BadAudioError
from drumblender.sound_files import check_apart, distinct_outputs, find_sounds_outside

log = logging.getLogger(__name__)


def output_of(source: Path, output: Path, endings: Sequence[str] = ("",)) -> Path:
    """The WAV file to write of one recording: ``output``, or in that folder one of the recording's name.

    Args:
        source: The recording.
        output: A file or a folder.
        endings: As of :func:`drumblender.sound_files.distinct_outputs`.

    Raises:
        ValueError: No WAV file, or the recording itself.
    """
    target = output / f"{source.stem}.wav" if output.is_dir() else output
    if target.suffix.lower() != ".wav":
        raise ValueError(f"Output is a WAV file, so {target.name} should be {target.stem}.wav.")
    check_apart([source], [target, *_with_endings(target, endings)])
    return target


def outputs_of(source: Path, output: Path, endings: Sequence[str] = ("",)) -> dict[Path, Path]:
    """Where each recording below ``source`` goes: into the same place below ``output``.

    Args:
        source: A folder.
        output: The folder to write to, which may lie in ``source``: what is in it is no recording.
        endings: As of :func:`drumblender.sound_files.distinct_outputs`.

    Raises:
        FileNotFoundError: No recordings.
        ValueError: Both are one folder, or a recording would be written over.
    """
    if output.resolve() == source.resolve():
        raise ValueError(f"{output} holds the recordings themselves: give another output.")
    found = find_sounds_outside(output, source)
    if not found:
        raise FileNotFoundError(f"No recordings in {source}.")
    targets = distinct_outputs(found, source, output, endings)
    check_apart(found, [path for target in targets.values() for path in _with_endings(target, endings)])
    return targets


def _with_endings(target: Path, endings: Sequence[str]) -> list[Path]:
    return [target.with_suffix(f"{ending}.wav") if ending else target for ending in endings]


def tell_written(
    total: int, rejected: Sequence[BadAudioError], output: Path, what: str = "recordings"
) -> int:
    """Say how many were written and which were left out; returns the exit status: 1 where none was written.

    Examples:
        >>> tell_written(2, [BadAudioError(Path("a.wav"), "is silent")], Path("out"))
        0
    """
    for error in sorted(rejected, key=lambda error: str(error.path)):
        log.warning("Left out: %s", error)
    left_out = f"; {len(rejected)} left out" if rejected else ""
    level = logging.WARNING if rejected else logging.INFO
    log.log(level, "Wrote %d of %d %s to %s%s.", total - len(rejected), total, what, output, left_out)
    return 0 if len(rejected) < total else 1
