"""How right and how fast pitch trackers are.

    python -m experiments.pitch.trackers NOTES PHRASES [CKPT ...]

NOTES is a folder in NSynth's format, PHRASES one of recordings with exact ``.notes.json`` beside them. Each
tracker that can be used here, and each trained checkpoint, hears them clean and in white noise. Counted are
frames inside notes, against the pitch that was played: within 50 cents (RPA), and by octaves off. The table
goes to ``experiments/pitch/results/trackers.md``.
"""

import argparse
import json
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from drumblender.audio_io import read_audio
from drumblender.dsp.units import midi_to_hz
from drumblender.features.trackers import available_trackers
from drumblender.features.tracking import Tracker
from drumblender.inference.pitch import make_tracker
from drumblender.metrics import RawChromaAccuracy, RawPitchAccuracy

RESULTS = Path(__file__).parent / "results" / "trackers.md"
NOISES_DB = (None, 30.0, 10.0)
NOTE_S, PHRASE_S = 1.0, 8.0  # seconds that are heard of each
SETTLED_S, BEFORE_END_S = 0.05, 0.02  # of a note are not counted: attack and change are of no pitch


class Sound(NamedTuple):
    """A recording, and its notes as (begin in s, end in s, pitch in Hz)."""

    audio: Tensor
    sample_rate: int
    notes: list[tuple[float, float, float]]


def read_notes(folder: Path, every: int) -> Iterator[Sound]:
    """Every so many notes of a folder in NSynth's format."""
    examples = json.loads((folder / "examples.json").read_text())
    for key in sorted(examples)[::every]:
        audio, rate = read_audio(folder / "audio" / f"{key}.wav")
        pitch_hz = midi_to_hz(torch.tensor(float(examples[key]["pitch"]))).item()
        yield Sound(audio[: round(NOTE_S * rate)], rate, [(0.0, NOTE_S, pitch_hz)])


def read_phrases(folder: Path, every: int) -> Iterator[Sound]:
    """The first seconds of every so many phrases. A note counts until the next begins; a chord does not."""
    for path in sorted(folder.glob("*.notes.json"))[::every]:
        audio, rate = read_audio(path.with_name(path.name.removesuffix(".notes.json") + ".flac"))
        played = json.loads(path.read_text())["notes"]
        begins = [note["onset_s"] for note in played]
        notes = []
        for note, begin in zip(played, begins, strict=True):
            end = min([begin + note["duration_s"], PHRASE_S, *(other for other in begins if other > begin)])
            if begins.count(begin) == 1:
                notes.append((begin, end, midi_to_hz(torch.tensor(float(note["midi_pitch"]))).item()))
        yield Sound(audio[: round(PHRASE_S * rate)], rate, notes)


def in_noise(audio: Tensor, level_db: float | None, number: int) -> Tensor:
    """White noise so many dB below the sound; the same for every tracker."""
    if level_db is None:
        return audio
    noise = torch.randn(audio.shape, generator=torch.Generator().manual_seed(number))
    return audio + noise * audio.square().mean().sqrt() * 10 ** (-level_db / 20)


def row(ear: Tracker, sounds: list[Sound], noise_db: float | None) -> tuple[float, float, float]:
    """RPA, RCA, and CPU seconds for a second of sound."""
    pitch, chroma, seconds, cpu_s = RawPitchAccuracy(), RawChromaAccuracy(), 0.0, 0.0
    for number, sound in enumerate(sounds):
        audio = in_noise(sound.audio, noise_db, number)
        began = time.process_time()
        track = ear(audio, sound.sample_rate)
        cpu_s += time.process_time() - began
        seconds += len(audio) / sound.sample_rate
        times = torch.arange(len(track.f0_hz)) * track.hop_s
        for begin, end, f0_hz in sound.notes:
            inside = (times >= begin + SETTLED_S) & (times <= end - BEFORE_END_S)
            if inside.any():
                found = track.f0_hz[inside][None]
                for metric in (pitch, chroma):
                    metric.update(found, torch.full_like(found, f0_hz))
    return pitch.compute().item(), chroma.compute().item(), cpu_s / seconds


def ears(checkpoints: list[str]) -> Iterator[tuple[str, Tracker]]:
    """The trackers that work here, by name."""
    for name in [*available_trackers(), *checkpoints]:
        ear = make_tracker(name)
        try:
            ear(torch.randn(16000), 16000)  # libraries are loaded, weights are there
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            print(f"{name}: left out ({' '.join(str(error).split())[:100]})")
            continue
        yield Path(name).stem, ear


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path)
    parser.add_argument("phrases", type=Path)
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--every", type=int, default=12, help="Hear one note of so many.")
    parser.add_argument("--every-phrase", type=int, default=4, help="Hear one phrase of so many.")
    given = parser.parse_args()
    sets = {
        "notes": list(read_notes(given.notes, given.every)),
        "phrases": list(read_phrases(given.phrases, given.every_phrase)),
    }
    names = [f"{kind}, {'clean' if db is None else f'{db:g} dB'}" for kind in sets for db in NOISES_DB]
    lines = [
        f"# Pitch trackers, {date.today()}",
        f"{len(sets['notes'])} notes of {NOTE_S:g} s and {len(sets['phrases'])} phrases of {PHRASE_S:g} s, "
        "clean and in white noise so many dB below them. RPA / octave errors, in percent of frames in notes.",
        "| | " + " | ".join(names) + " | CPU s a second |\n|" + "---|" * (len(names) + 2),
    ]
    body = []
    for name, ear in ears(given.checkpoints):
        found = [row(ear, sounds, db) for sounds in sets.values() for db in NOISES_DB]
        cells = [f"{100 * rpa:.1f} / {100 * (rca - rpa):.1f}" for rpa, rca, _ in found]
        body.append(f"| {name} | {' | '.join(cells)} | {sum(each[2] for each in found) / len(found):.3f} |")
        print(body[-1], flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n\n".join(lines) + "\n" + "\n".join(body) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
