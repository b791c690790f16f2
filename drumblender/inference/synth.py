"""`drumblender synth`: resynthesise recordings with a trained model."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from drumblender.audio_io import read_audio, write_wav
from drumblender.checkpoints import Loaded, load_checkpoint, load_played
from drumblender.console import track
from drumblender.data import AudioData
from drumblender.dsp.resample import hann_resample
from drumblender.inference.folders import output_of, outputs_of, tell_written
from drumblender.inference.resynthesis import (
    Heard,
    Settings,
    check_hears,
    hear,
    resynthesise_all,
    shares_batches,
)
from drumblender.open_sound import BadAudioError, reason_of
from drumblender.trust import trusted

log = logging.getLogger(__name__)

_BATCH_SAMPLES = 2**20
"""Of the sounds that are rendered together: ten of two seconds at 48 kHz."""
_MUCH_LONGER = 4
"""A sound that lasts so many times what the model learned from is told of."""
_WAITING_SAMPLES = 2**23
"""Of all that wait for others of their length."""


@dataclass(frozen=True)
class Recording:
    """A file that was read, and where its sound goes."""

    source: Path
    output: Path
    rate: int
    num_samples: int
    heard: Heard


def read_recording(loaded: Loaded, source: Path, output: Path, settings: Settings) -> Recording:
    """Read a file for a model.

    Raises:
        BadAudioError: It is no sound, or silent.
    """
    dc = loaded.data.dc if isinstance(loaded.data, AudioData) else "keep"
    audio, rate = read_audio(source, None if settings.keep_rate else loaded.sample_rate, dc=dc)
    check_hears(loaded)
    _tell_of_length(loaded, source, len(audio) / rate)
    try:
        heard = hear(loaded, hann_resample(audio[None], rate, loaded.sample_rate)[0], settings)
    except BadAudioError as error:
        raise BadAudioError(source, reason_of(error)) from None
    return Recording(source, output, rate, len(audio), heard)


def _tell_of_length(loaded: Loaded, source: Path, lasts_s: float) -> None:
    learned_s = getattr(loaded.data, "num_samples", 0) / loaded.sample_rate
    if learned_s and lasts_s > _MUCH_LONGER * learned_s:
        log.warning(
            "%s lasts %.1f s; the model learned from sounds of %.1f s, one onset each: cut it into such.",
            source,
            lasts_s,
            learned_s,
        )


def write_sounds(loaded: Loaded, recording: Recording, sounds: dict[str, Tensor], settings: Settings) -> None:
    """Write 32-bit float WAV files; stems lie beside the sound as ``<name>.<voice>.wav``."""
    length = recording.num_samples if settings.trim else None  # there and back, resampling rounds up
    output, rate = recording.output, recording.rate
    for voice, sound in sounds.items():
        path = output.with_suffix(f".{voice}.wav" if voice else output.suffix)
        if not sound.isfinite().all():
            raise BadAudioError(recording.source, "makes the model output NaN or infinite samples")
        write_wav(path, hann_resample(sound[None], loaded.sample_rate, rate)[0, :length], rate)


def resynthesise_files(
    loaded: Loaded, outputs: dict[Path, Path], settings: Settings
) -> Iterator[BadAudioError | None]:
    """Resynthesise each file into another; for each the reason why it was left out, or None.

    Those that are heard at one length are rendered together, so they end in another order than they come.
    """
    together, waiting = shares_batches(loaded, settings), {}
    for source, output in outputs.items():
        try:
            recording = read_recording(loaded, source, output, settings)
        except BadAudioError as error:
            yield error
            continue
        length = len(recording.heard.audio)
        alike = waiting.setdefault(length, [])
        alike.append(recording)
        if not together or (len(alike) + 1) * length > _BATCH_SAMPLES:
            yield from _resynthesise(loaded, waiting.pop(length), settings)
        elif sum(length * len(alike) for length, alike in waiting.items()) > _WAITING_SAMPLES:
            longest = max(waiting, key=lambda length: length * len(waiting[length]))
            yield from _resynthesise(loaded, waiting.pop(longest), settings)
    for alike in waiting.values():
        yield from _resynthesise(loaded, alike, settings)


def _resynthesise(
    loaded: Loaded, recordings: Sequence[Recording], settings: Settings
) -> Iterator[BadAudioError | None]:
    try:
        sounds = resynthesise_all(loaded, [recording.heard for recording in recordings], settings)
    except loaded.data.unusable as error:
        if len(recordings) == 1:
            yield BadAudioError(recordings[0].source, reason_of(error))
            return
        for recording in recordings:  # one of them stops them all
            yield from _resynthesise(loaded, [recording], settings)
        return
    for recording, sound in zip(recordings, sounds, strict=True):
        try:
            write_sounds(loaded, recording, sound, settings)
        except BadAudioError as error:
            yield error
        else:
            yield None


def command(given: argparse.Namespace) -> int:
    """`drumblender synth CKPT IN OUT`; see :func:`drumblender.options.playing.synth`."""
    settings = Settings(
        seed=given.seed,
        cut_silence=not given.no_cut,
        trim=not given.no_trim,
        batch_statistics=given.batch_stats,
        keep_rate=given.keep_rate,
        stems=given.stems,
        refine=given.refine,
    )
    if not given.input.exists():
        raise FileNotFoundError(f"No recording {given.input}.")
    load = load_checkpoint if given.refine else load_played  # only refinement needs the loss
    loaded = load(given.checkpoint, trusted(given.trust))
    if loaded.task.verb != "synth":
        kind, verb = loaded.kind, loaded.task.verb
        raise ValueError(f"{given.checkpoint} holds a {kind}: play it with `drumblender {verb}`.")
    loaded.task.to(given.device)
    if given.input.is_dir():
        return _folder(loaded, given.input, given.output, settings)
    output = output_of(given.input, given.output, _endings(loaded, settings))
    for error in resynthesise_files(loaded, {given.input: output}, settings):
        if error is not None:
            raise error
    log.info("Wrote %s.", output)
    return 0


def _endings(loaded: Loaded, settings: Settings) -> tuple[str, ...]:
    """Of the files that are written of a recording."""
    return ("", *(f".{voice}" for voice in loaded.task.voices)) if settings.stems else ("",)


def _folder(loaded: Loaded, source: Path, output: Path, settings: Settings) -> int:
    """Every recording below ``source`` into the same place below ``output``; bad ones are listed."""
    targets = outputs_of(source, output, _endings(loaded, settings))
    done = track(resynthesise_files(loaded, targets, settings), len(targets), "Resynthesising")
    return tell_written(len(targets), [error for error in done if error is not None], output)
