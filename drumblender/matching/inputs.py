"""What `drumblender match` is given: recordings, options of names and values, sample rates."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from torch import Tensor, nn

from drumblender.audio_io import header_of, read_audio
from drumblender.data.prepare.one_shot import SILENCE_DB, first_non_silent_sample
from drumblender.dsp.units import Range
from drumblender.matching.report import read_start
from drumblender.matching.space import region_of
from drumblender.matching.synth_files import rates
from drumblender.open_sound import BadAudioError
from drumblender.synths.base import Synth
from drumblender.synths.preset import controls_of

log = logging.getLogger(__name__)

_HIGHEST_RATE = 48_000  # of synths that have no rate of their own yet


def work_rate(given: Namespace, path: Path) -> int:
    """The rate to work at, set wherever synth and loss want to know it.

    Raises:
        ValueError: Parts of the synth play at different rates, or the rate is out of reason.
    """
    if given.sample_rate is None:
        named = {section[key] for section, key in rates(given.synth) if section[key] is not None}
        if len(named) > 1:
            raise ValueError(f"Parts of the synth play at {sorted(named)} Hz; give --sample-rate.")
        rate = named.pop() if named else header_of(path)[0]
        rate = min(rate, _HIGHEST_RATE) if given.synth is None else rate
    else:
        rate = given.sample_rate
        for section, key in rates(given.synth):
            section[key] = rate
    if not 1000 <= rate <= 384_000:
        raise ValueError(f"A sample rate lies between 1000 and 384000, got {rate}.")
    for section, key in rates(given.loss):
        section[key] = rate
    return rate


def heard(path: Path, rate: int, seconds: float | None, keep_silence: bool) -> Tensor:
    """The recording from its onset on."""
    if seconds is not None and not seconds > 0:
        raise ValueError(f"--seconds is above 0, got {seconds}.")
    audio, _ = read_audio(path, rate, dc="remove")
    start = first_non_silent_sample(audio)
    if start is None:
        raise BadAudioError(path, f"is silent (below {SILENCE_DB:g} dB): there is nothing to match")
    audio = audio if keep_silence else audio[start:]
    return audio if seconds is None else audio[: max(1, round(seconds * rate))]


def given_source(given: str | None, target: Tensor, rate: int) -> Tensor | None:
    """The target, or a recording cut or continued with silence to its length."""
    if given is None or given == "target":
        return None if given is None else target
    audio, _ = read_audio(Path(given), rate)
    audio = audio[: len(target)]
    return nn.functional.pad(audio, (0, len(target) - len(audio)))


def split_option(
    option: str, item: str, read: Callable[[str], Any], unnamed: str | None = None
) -> tuple[str, Any]:
    """``NAME=VALUE`` as a pair."""
    name, equals, value = str(item).rpartition("=")
    if not equals and unnamed is not None:
        name = unnamed
    elif not name:
        raise ValueError(f"{option} needs NAME=VALUE, got {item!r}.")
    if "=" in name:
        raise ValueError(f"{option} names one control, got {item!r}: give {option} again for each.")
    try:
        return name, read(value)
    except ValueError as error:
        raise ValueError(f"{option} {item}: {error}") from error


def split_options(
    option: str, items: Sequence[str], read: Callable[[str], Any], unnamed: str | None = None
) -> dict[str, Any]:
    """All that was given of an option, by name.

    Raises:
        ValueError: One is not ``NAME=VALUE``, or a name comes twice: one value would be lost.
    """
    found: dict[str, Any] = {}
    for name, value in (split_option(option, item, read, unnamed) for item in items):
        if name in found:
            raise ValueError(f"{option} names {name or 'all controls'} twice: give it once.")
        found[name] = value
    return found


def frame_count(text: str) -> int:
    """Of a control; 1 or more."""
    count = int(text)
    if count < 1:
        raise ValueError("a control has 1 frame or more.")
    return count


def held_numbers(text: str) -> float | list[float]:
    """One number, or one for each part of a control."""
    numbers = [float(part) for part in text.split(",")]
    return numbers[0] if len(numbers) == 1 else numbers


def search_range(text: str) -> Range:
    """LOW:HIGH, with :log for ratios."""
    low, _, rest = text.partition(":")
    high, colon, scale = rest.partition(":")
    if colon and scale != "log":
        raise ValueError("expected LOW:HIGH or LOW:HIGH:log.")
    return Range(float(low), float(high), scale == "log")


def control_settings(given: Namespace, synths: dict[str, Synth]) -> dict[str, dict[str, Any]]:
    """What the command line says of controls, for each synth that has them.

    Raises:
        ValueError: None has them; or a start is given for several.
    """
    if given.start is not None and len(synths) > 1:
        raise ValueError(f"--start {given.start} is for one synth: name it with --synth.")
    counts = split_options("--frames", given.frames, frame_count, "")
    fixed = split_options("--fix", given.fix, held_numbers)
    regions = split_options("--range", given.range, search_range)
    named = {*counts, *fixed, *regions} - {""}
    known = {
        name: {*synth.control_sizes, *map(synth.unit_name, synth.control_sizes)}
        for name, synth in synths.items()
    }
    suited = [name for name in synths if named <= known[name]] if len(synths) > 1 else list(synths)
    if not suited:
        raise ValueError(f"None of {', '.join(synths)} has all of {', '.join(sorted(named))}.")
    for name in sorted(set(synths) - set(suited)):
        log.info("%s is left out: it has no %s.", name, ", ".join(sorted(named - known[name])))
    settings = {}
    for name in suited:
        synth = synths[name]
        start = None if given.start is None else read_start(Path(given.start), synth)
        held = controls_of(fixed, synth, source="--fix") if fixed else {}
        for control in synth.control_sizes:
            for region in {control, synth.unit_name(control)} & set(regions):
                region_of(synth, control, regions[region])
        settings[name] = {
            "frames": {"": 32} | counts,
            "fixed": {control: value.to(given.device) for control, value in held.items()},
            "regions": regions,
            "init": start and {control: value.to(given.device) for control, value in start.items()},
        }
    return settings
