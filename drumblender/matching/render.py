"""`drumblender render`: play the controls of a file."""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from drumblender.atomic import read_json
from drumblender.audio_io import read_audio, write_wav
from drumblender.matching.synth_files import build_synth, synth_config, synth_of_file
from drumblender.sound_files import check_apart
from drumblender.synths.base import Synth
from drumblender.synths.preset import load_controls
from drumblender.trust import Trust, trusted

_MOST_SECONDS = 600


def command(given: argparse.Namespace) -> int:
    """`drumblender render CONTROLS.json OUT.wav`; see :func:`drumblender.options.playing.render`."""
    check_apart([Path(path) for path in (given.controls, given.source) if path], [Path(given.output)])
    audio, rate = render(
        given.controls,
        synth=given.synth,
        seconds=given.seconds,
        seed=given.seed,
        source=given.source,
        trust=trusted(given.trust),
    )
    write_wav(given.output, audio, rate)
    sys.stdout.write(f"Wrote {given.output}: {len(audio) / rate:.2f} s at {rate} Hz.\n")
    return 0


@torch.no_grad()
def render(
    path: str | Path,
    *,
    synth: str | Path | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    source: str | Path | None = None,
    trust: Trust | None = None,
) -> tuple[Tensor, int]:
    """Play the controls of a file.

    Args:
        path: A ``controls.json`` of ``match``, or any preset; it may come from a stranger.
        synth: A YAML file of the user's own that names what plays them; None: what the file itself names.
        seconds: How long; None: as the file says, else one second.
        seed: Of the noise; None: as the file says, else 0.
        source: A recording for a synth that hears one.
        trust: Modules of your own whose classes the file may name.

    Returns:
        ``(samples,)``, and the sample rate.

    Raises:
        FileNotFoundError: No such file.
        UntrustedError: The file names a synth that a stranger's file may not.
        ValueError: It is no preset of the synth, or a number of it is out of range.
    """
    path = Path(path)
    content = _facts(path)
    seed = int(_number(path, content, "seed", 0, 0, 2**63 - 1)) if seed is None else seed
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # some synths draw their noise when they are made
        if synth is not None:
            player = build_synth(synth_config(synth))
        elif "synth" in content:
            player = synth_of_file(content["synth"], source=str(path), trust=trust)
        else:
            raise ValueError(f"{path} names no synth: give one with --synth cfg/synths/NAME.yaml.")
        controls = load_controls(path, player)
        rate = int(player.sample_rate or _number(path, content, "sample_rate", 44_100, 1000, 384_000))
        count = _num_samples(path, content, rate, seconds)
        heard = _source(player, source, rate, count)
        torch.manual_seed(seed)
        audio = player(controls, count, heard)[0]
    if not audio.isfinite().all():
        raise ValueError(f"{path} makes {type(player).__name__} play NaN or infinite samples.")
    return audio, rate


def _facts(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise FileNotFoundError(f"No controls {path}.")
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f'{path} is no preset: expected {{"preset": {{...}}}} in JSON. {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} is no preset: expected {{"preset": {{...}}}} in JSON.')
    return content


def _number(
    path: Path, content: dict[str, object], name: str, default: float, low: float, high: float
) -> float:
    value = content.get(name, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"{path}: {name} lies between {low:g} and {high:g}, got {str(value)[:40]}.")
    return value


def _num_samples(path: Path, content: dict[str, object], rate: int, seconds: float | None) -> int:
    most = _MOST_SECONDS * rate
    if seconds is None:
        return int(_number(path, content, "num_samples", rate, 1, most))
    if not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f"--seconds is above 0 and at most {_MOST_SECONDS}, got {seconds}.")
    return max(1, round(seconds * rate))


def _source(player: Synth, source: str | Path | None, rate: int, count: int) -> Tensor | None:
    if source is None:
        if player.needs_source:
            raise ValueError(f"{type(player).__name__} works on a sound: give it with --source FILE.")
        return None
    audio, _ = read_audio(Path(source), rate)
    audio = audio[:count]
    return functional.pad(audio, (0, count - len(audio)))[None]
