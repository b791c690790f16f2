"""`drumblender synth`: resynthesise recordings with a trained model."""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from drumblender.audio_io import read_audio, write_wav
from drumblender.checkpoints import Loaded, load_checkpoint, load_played
from drumblender.console import track
from drumblender.data import AudioData
from drumblender.data.prepare.one_shot import SILENCE_DB, first_non_silent_sample
from drumblender.dsp.resample import hann_resample
from drumblender.open_sound import BadAudioError, reason_of
from drumblender.sound_files import distinct_outputs, find_sounds
from drumblender.tasks import PitchVoices
from drumblender.trust import trusted
from drumblender.types import HearsRecordings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a recording is resynthesised.

    Args:
        seed: Of the noise in the sound.
        cut_silence: Analyse from the onset on, as the training data is cut, and put the silence back after.
        trim: Cut the result to the length of the recording; else it is at least as long as a training item.
        batch_statistics: Normalise with the statistics of the one input, as the original program did,
            instead of those of the training.
        keep_rate: Write at the rate of the recording instead of the model's.
        stems: Write each voice to a file of its own as well.
        refine: Steps of descent on the one recording that its controls are taken further by; 0: none.
    """

    seed: int = 0
    cut_silence: bool = True
    trim: bool = True
    batch_statistics: bool = False
    keep_rate: bool = False
    stems: bool = False
    refine: int = 0


@torch.no_grad()
def resynthesise(loaded: Loaded, audio: Tensor, settings: Settings) -> dict[str, Tensor]:
    """The model's version of a recording.

    Args:
        loaded: A checkpoint.
        audio: ``(samples,)`` at the model's sample rate.
        settings: What to do about silence, length and noise.

    Returns:
        The sound under ``""``, and with ``stems`` each voice under its name; ``(samples,)`` each.

    Raises:
        BadAudioError: Nothing but silence.
        ValueError: The model was trained on sounds that are made, and hears no recordings.
    """
    _check_hears(loaded)
    start = first_non_silent_sample(audio)
    if start is None:
        raise BadAudioError(None, f"is silent (below {SILENCE_DB:g} dB)")
    start = start if settings.cut_silence else 0
    heard = audio[start:]
    target = functional.pad(heard, (0, max(0, loaded.data.num_samples - len(heard))))[None]
    task = loaded.task.train(settings.batch_statistics)
    batch = {"audio": target, **loaded.data.analyse(target)}
    batch = {name: value.to(task.device) for name, value in batch.items()}
    controls = task.voice_controls(batch)
    if settings.refine:
        from drumblender.inference.refined import refined_controls  # slow to import

        controls, gain = refined_controls(task, batch, settings.refine, settings.seed)
        log.info("%d steps of refinement: %s.", settings.refine, gain)
    with _seeded(settings.seed):
        sounds = {"": task.render(batch, controls)}
    if settings.stems:
        with _seeded(settings.seed):
            sounds |= task.stems(batch, controls=controls)
    end = len(audio) if settings.trim else None
    return {name: functional.pad(sound[0].cpu(), (start, 0))[:end] for name, sound in sounds.items()}


def _check_hears(loaded: Loaded) -> None:
    if not isinstance(loaded.data, HearsRecordings):
        told = "; `drumblender pitch IN OUT --tracker CKPT` tells the pitch that it finds"
        raise ValueError(
            f"This {loaded.kind} was trained on {type(loaded.data).__name__}, which makes its "
            f"sounds and hears no recordings{told if isinstance(loaded.task, PitchVoices) else ''}."
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def resynthesise_file(loaded: Loaded, source: Path, output: Path, settings: Settings) -> None:
    """``resynthesise`` from file to 32-bit float WAV file; stems lie beside it as ``<name>.<voice>.wav``."""
    dc = loaded.data.dc if isinstance(loaded.data, AudioData) else "keep"
    audio, rate = read_audio(source, None if settings.keep_rate else loaded.sample_rate, dc=dc)
    _check_hears(loaded)
    length = len(audio) if settings.trim else None  # there and back, resampling rounds up
    try:
        sounds = resynthesise(loaded, hann_resample(audio[None], rate, loaded.sample_rate)[0], settings)
    except loaded.data.unusable as error:
        raise BadAudioError(source, reason_of(error)) from None
    for voice, sound in sounds.items():
        path = output.with_suffix(f".{voice}.wav" if voice else output.suffix)
        if not sound.isfinite().all():
            raise BadAudioError(source, "makes the model output NaN or infinite samples")
        write_wav(path, hann_resample(sound[None], loaded.sample_rate, rate)[0, :length], rate)


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
    output = given.output / f"{given.input.stem}.wav" if given.output.is_dir() else given.output
    if output.resolve() == given.input.resolve():
        raise ValueError(f"{output} is the recording itself: give another output.")
    if output.suffix.lower() != ".wav":
        raise ValueError(f"Output is a WAV file, so {output.name} should be {output.stem}.wav.")
    resynthesise_file(loaded, given.input, output, settings)
    log.info("Wrote %s.", output)
    return 0


def _folder(loaded: Loaded, source: Path, output: Path, settings: Settings) -> int:
    """Every recording below ``source`` into the same place below ``output``; bad ones are listed."""
    if output.resolve() == source.resolve():
        raise ValueError(f"{output} holds the recordings themselves: give another output.")
    found = find_sounds(source)
    if output.resolve().is_relative_to(source.resolve()):  # what an earlier run wrote is no recording
        found = [path for path in found if not path.resolve().is_relative_to(output.resolve())]
    if not found:
        raise FileNotFoundError(f"No recordings in {source}.")
    voices = loaded.task.voices if settings.stems else ()
    targets = distinct_outputs(found, source, output, ("", *(f".{voice}" for voice in voices)))
    rejected = []
    for path in track(found, len(found), "Resynthesising"):
        try:
            resynthesise_file(loaded, path, targets[path], settings)
        except BadAudioError as error:
            rejected.append(error)
    for error in rejected:
        log.warning("Left out: %s", error)
    log.info("Wrote %d of %d recordings to %s.", len(found) - len(rejected), len(found), output)
    return 0 if len(rejected) < len(found) else 1
