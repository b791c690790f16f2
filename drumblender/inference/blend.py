"""`drumblender blend`: each voice of a model played from another recording, and ways between two of them."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from drumblender.audio_io import read_audio, write_wav
from drumblender.checkpoints import Loaded, load_played
from drumblender.console import UsageError
from drumblender.data import AudioData
from drumblender.data.prepare.one_shot import SILENCE_DB, first_non_silent_sample
from drumblender.open_sound import BadAudioError, reason_of
from drumblender.sound_files import check_apart
from drumblender.trust import trusted
from drumblender.types import Audio, Controls

log = logging.getLogger(__name__)


@torch.no_grad()
def blend(
    loaded: Loaded,
    recordings: Mapping[str, Tensor],
    morph: float = 0.0,
    seed: int = 0,
    sources: Mapping[str, Path] | None = None,
) -> Audio:
    """One sound whose voices come from different recordings.

    Args:
        loaded: A checkpoint.
        recordings: By voice, ``(samples,)`` at the model's rate, each from its onset on. A voice that is not
            named takes the first.
        morph: How far each voice goes towards the other of two recordings: 0 plays its own, 1 the other's.
            Levels, pitches and what else is made are drawn in between; modes of both sound, faded over.
        seed: Of the noise.
        sources: The file of each voice's recording, to be named where it is of no use.

    Returns:
        ``(1, samples)``, as long as the longest recording.

    Raises:
        BadAudioError: A recording lacks what the model measures, such as a pitch.
        ValueError: No recording, an unknown voice, ``morph`` outside of 0 to 1, or with other than two
            recordings.
    """
    voices = list(loaded.task.voices)
    if unknown := sorted(set(recordings) - set(voices)):
        raise ValueError(f"The model has no voice {', '.join(unknown)}, only {', '.join(voices)}.")
    if not recordings:
        raise ValueError(f"Give a recording for a voice: {', '.join(voices)}.")
    if not 0 <= morph <= 1:
        raise ValueError(f"morph goes from 0 to 1, got {morph:g}.")
    sounds = list({id(sound): sound for sound in recordings.values()}.values())
    if morph and len(sounds) != 2:
        raise ValueError(f"A morph is between two recordings, got {len(sounds)}.")
    longest = max(map(len, sounds))
    length = max(loaded.data.num_samples, longest)
    batches = _measured(loaded, recordings, length, sources or {})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = {key: loaded.task.voice_controls(batch) for key, batch in batches.items()}
    first = id(sounds[0])
    controls = {}
    for voice in voices:
        own = id(recordings[voice]) if voice in recordings else first
        controls[voice] = made[own][voice]
        if morph:
            (other,) = set(made) - {own}
            controls[voice] = between(controls[voice], made[other][voice], morph)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return loaded.task.render(batches[first], controls)[:, :longest]


def between(own: Controls, other: Controls, share: float) -> Controls:
    """Controls on the way from ``own`` to ``other``: 0 is the one, 1 the other.

    Modes are no scale that one could go along: both banks sound, with their amplitudes faded over. Pitches go
    by their logarithm, all else in straight lines.

    >>> half = between({"level_db": torch.zeros(1, 1, 1)}, {"level_db": torch.ones(1, 1, 1)}, 0.5)
    >>> half["level_db"].item()
    0.5
    """
    if "freq_rad" in own:
        faded = {name: (1 - share, share) for name in own if name in ("amp", "quadrature")}
        return {
            name: torch.cat(
                [part * gain for part, gain in zip(pair, faded.get(name, (1, 1)), strict=True)], -1
            )
            for name, pair in ((name, (own[name], _as_long(other[name], own[name]))) for name in own)
        }
    found = {}
    for name, value in own.items():
        towards = _as_long(other[name], value)
        pitch = name.endswith("_hz")
        found[name] = value * (towards / value) ** share if pitch else torch.lerp(value, towards, share)
    return found


def _as_long(value: Tensor, like: Tensor) -> Tensor:
    if value.shape[1] == like.shape[1]:
        return value
    return functional.interpolate(value.mT, size=like.shape[1], mode="linear", align_corners=True).mT


def _measured(
    loaded: Loaded, recordings: Mapping[str, Tensor], length: int, sources: Mapping[str, Path]
) -> dict[int, dict[str, Tensor]]:
    """What the model hears, of each recording once."""
    batches = {}
    for voice, sound in recordings.items():
        if id(sound) in batches:
            continue
        try:
            batches[id(sound)] = _batch(loaded, sound, length)
        except loaded.data.unusable as error:
            path, reason = sources.get(voice), reason_of(error).rstrip(".")
            whose = reason if path else f"The recording of {voice} {reason}"
            remedy = "every recording is measured whole, whichever voice it gives: give another one"
            raise BadAudioError(path, f"{whose}; {remedy}") from error
    return batches


def _batch(loaded: Loaded, sound: Tensor, length: int) -> dict[str, Tensor]:
    audio = functional.pad(sound, (0, length - len(sound)))[None]
    batch = {"audio": audio, **loaded.data.analyse(audio)}
    return {name: value.to(loaded.task.device) for name, value in batch.items()}


def command(given: argparse.Namespace) -> int:
    """`drumblender blend CKPT --modal A --noise B OUT`; see :func:`drumblender.options.playing.blend`."""
    named = named_recordings(given)
    if missing := [path for path in named.values() if not path.is_file()]:
        raise FileNotFoundError(f"No recording {missing[0]}.")
    if given.output.suffix.lower() != ".wav":
        raise ValueError(f"Output is a WAV file, so {given.output.name} should be {given.output.stem}.wav.")
    check_apart(named.values(), [given.output])
    loaded = load_played(given.checkpoint, trusted(given.trust))
    if loaded.task.verb != "synth":
        raise ValueError(f"{given.checkpoint} holds a {loaded.kind}, which has no voices to blend.")
    loaded.task.to(given.device)
    heard = {path: _from_onset(loaded, path) for path in dict.fromkeys(named.values())}
    recordings = {voice: heard[path] for voice, path in named.items()}
    sound = blend(loaded, recordings, given.morph, given.seed, named)
    write_wav(given.output, sound[0].cpu(), loaded.sample_rate)
    log.info("Wrote %s.", given.output)
    return 0


def named_recordings(given: argparse.Namespace) -> dict[str, Path]:
    """The recording of each voice that the command line names.

    Raises:
        UsageError: Two for one voice.
    """
    pairs = [(name, path) for name in ("modal", "noise", "transient") for path in vars(given)[name]]
    named: dict[str, Path] = {}
    for voice, path in [*pairs, *((name, Path(path)) for name, path in given.voice)]:
        if voice in named:
            raise UsageError(
                f"The voice {voice} has two recordings, {named[voice]} and {path}: give it one. To play "
                "between two, give them to two voices and add --morph 0.5."
            )
        named[voice] = path
    return named


def _from_onset(loaded: Loaded, path: Path) -> Tensor:
    dc = loaded.data.dc if isinstance(loaded.data, AudioData) else "keep"
    audio, _ = read_audio(path, loaded.sample_rate, dc=dc)
    start = first_non_silent_sample(audio)
    if start is None:
        raise BadAudioError(path, f"is silent (below {SILENCE_DB:g} dB)")
    return audio[start:]
