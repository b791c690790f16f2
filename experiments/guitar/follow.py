"""How well an instrument follows voices: one command.

    python -m experiments.guitar.follow VOICE_FOLDER --phrases PREPARED --output experiments/guitar/results

plays every recording of a folder as ``drumblender transfer`` does and measures what comes out, by another
pitch tracker than the model's own. Share of the voiced frames whose pitch is within 20 cents of the
input's, shifted as the model shifted it: against what the model heard, and by the other tracker at both
ends. That one should resolve what is asked: on a vibrato of 60 cents librosa's pYIN and YIN, of 128 ms, err
by 22, and CREPE tiny tells pitches of 20 cents apart. Correlation of the level in dB with that of the
voice, and with the curve that was asked for, which has the quantiles of the training. Largest step from
sample to sample as a share of the largest sample of the 20 ms around it, beside the largest of all prepared
phrases: a click would be larger. The table below the network does as well: following says
nothing about learning.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from drumblender.atomic import write_json
from drumblender.audio_io import read_audio
from drumblender.checkpoints import Loaded, load_checkpoint
from drumblender.console import exit_status
from drumblender.features import NoteCurves
from drumblender.features.note_curves import pitch_of
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.transfer import curves_of, transfer_file
from drumblender.inference.transfer_command import instrument_of, room_of
from drumblender.inference.transfer_curves import Transfer, adapt, audible, octaves
from drumblender.sound_files import find_sounds

_CENTS = 20.0
_NEAR_SAMPLES = 160  # 10 ms at 16 kHz


class Followed(NamedTuple):
    """What one recording gave."""

    name: str
    seconds: float
    shift: int  # octaves
    heard: float  # share of frames within 20 cents of what the model heard
    both: float  # the same, by the other tracker at both ends
    loudness: float  # correlation with the voice's
    asked: float  # with what was asked for
    step: float


def within_cents(f0_hz: Tensor, wanted_hz: Tensor, counted: Tensor) -> float:
    """Share of the counted frames whose pitches are at most 20 cents apart.

    >>> within_cents(torch.tensor([220.0, 222.0, 225.0, 440.0]), torch.full((4,), 220.0), torch.ones(4) > 0)
    0.5
    """
    apart = 1200 * torch.log2(f0_hz / wanted_hz).abs()
    return float((apart[counted] <= _CENTS).float().mean())


def largest_step(sound: Tensor) -> float:
    """From one sample to the next, as a share of the largest of the 20 ms around it.

    Where that is below a fiftieth of the peak, as a share of a fiftieth: noise between notes is no click.

    >>> largest_step(torch.tensor([0.0, 0.5, -0.5, 0.0]))
    2.0
    """
    near = torch.nn.functional.max_pool1d(sound.abs()[None], 2 * _NEAR_SAMPLES + 1, 1, _NEAR_SAMPLES)[0]
    floor = max(1e-9, float(sound.abs().max()) / 50)
    return float((sound.diff().abs() / near[1:].clamp(min=floor)).max())


def follow(model: Loaded, voice: Path, target: Path, tracker: str, loudness: str) -> Followed:
    """Play one recording and measure it."""
    measure, instrument = model.data.curves, instrument_of(model.task)
    options = Transfer(unvoiced_below=measure.hold_below, loudness=loudness)
    told = transfer_file(model.task.player, voice, target, options, measure, instrument, room_of(model.task))
    heard = curves_of(voice, measure)
    shift = octaves(heard, options, instrument)
    sounds = [read_audio(path, measure.sample_rate, "mean")[0] for path in (voice, target)]
    other = [pitch_of(sound[None], measure.sample_rate, measure.hop_length, tracker) for sound in sounds]
    level_db = measure.loudness(sounds[1][None])[0]
    count = min(len(level_db), len(heard["f0_hz"]), other[0][0].shape[1])
    voiced = (heard["periodicity"] >= measure.hold_below) & audible(heard["loudness_db"])
    voiced = voiced[:count] & (level_db[:count] > level_db.max() - 50)
    played_hz, sung_hz = other[1][0][0, :count], other[0][0][0, :count]
    asked = adapt(heard, options, instrument, measure.hop_length / measure.sample_rate)
    levels = [curve[:count][voiced] for curve in (level_db, heard["loudness_db"], asked["loudness_db"])]
    alike = torch.corrcoef(torch.stack(levels))[0]
    return Followed(
        voice.stem,
        told.seconds,
        shift,
        within_cents(played_hz, heard["f0_hz"][:count] * 2.0**shift, voiced),
        within_cents(played_hz, sung_hz * 2.0**shift, voiced),
        float(alike[1]),
        float(alike[2]),
        largest_step(sounds[1]),
    )


def table(rows: list[Followed], largest: float, tracker: str, own: str) -> str:
    """All rows, and what they are held to."""
    head = (
        f"| voice | s | octaves | within 20 cents, {own} in, {tracker} out | {tracker} at both ends "
        "| level, of the voice | as asked | largest step |\n|---|---|---|---|---|---|---|---|"
    )
    cells = [
        f"| {row.name} | {row.seconds:.1f} | {row.shift:+d} | {row.heard:.1%} | {row.both:.1%} | "
        f"{row.loudness:.3f} | {row.asked:.3f} | {row.step:.2f} |"
        for row in rows
    ]
    return "\n".join([head, *cells, f"\nLargest step of all prepared phrases: {largest:.2f}.\n"])


def largest_step_of(prepared: Path, measure: NoteCurves) -> float:
    """The largest step of the prepared phrases."""
    sounds = [read_audio(path, measure.sample_rate)[0] for path in find_sounds(prepared / "audio")]
    return max(map(largest_step, sounds))


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.guitar.follow", description=__doc__)
    parser.add_argument("voices", type=Path, help="a folder of recordings")
    parser.add_argument("--phrases", type=Path, required=True, help="the prepared folder of the training")
    parser.add_argument("--checkpoint", default="checkpoints/guitar")
    parser.add_argument("--tracker", default="swift-f0", help="measures what comes out (default: swift-f0)")
    parser.add_argument("--loudness", choices=("match", "keep"), default="match", help="as of transfer")
    parser.add_argument("--output", type=Path, default=Path("results/guitar"))
    parser.add_argument("--sounds", type=Path, help="where the sounds go (default: in the output)")
    given = parser.parse_args(args)
    model = load_checkpoint(find_checkpoint(given.checkpoint))
    own = model.data.curves.tracker
    if given.tracker == own:
        raise ValueError(f"The model hears by {own}: give another --tracker.")
    folder = given.sounds or given.output / "sounds"
    rows = []
    for voice in find_sounds(given.voices):
        rows.append(follow(model, voice, folder / f"{voice.stem}.wav", given.tracker, given.loudness))
        print(rows[-1], flush=True)
    text = table(rows, largest_step_of(given.phrases, model.data.curves), given.tracker, own)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "voice.md").write_text(text, encoding="utf-8")
    write_json(given.output / "voice.json", [row._asdict() for row in rows])
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.guitar.follow"))
