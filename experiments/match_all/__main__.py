"""``python -m experiments.match_all DATA``: match sounds of each class; a row a sound, then a table.

DATA holds ``drums/*/CLASS/*`` (kick, snare, tom, hihat, cymbal, perc) and ``guitar_notes/audio/*``. A sound
that has a row is not matched again, so a study that was stopped goes on where it was. ``--methods`` compares
the methods of search at equal budget on ``modal_noise`` alone.
"""

import argparse
import csv
import logging
import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from drumblender.audio_io import read_audio
from drumblender.data.prepare.one_shot import first_non_silent_sample
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.matching.auto import match_best
from drumblender.matching.baselines import band_noise, coloured_noise
from drumblender.matching.match import match
from drumblender.matching.search import Method
from drumblender.matching.synth_files import AUTO, shipped_synths
from drumblender.metrics import AttackTimeDifference, LevelDifference, LoudSpectralDistance
from drumblender.sound_files import READABLE

logger = logging.getLogger(__name__)
CLASSES = {name: f"drums/*/{name}/*" for name in ("kick", "snare", "tom", "hihat", "cymbal", "perc")}
CLASSES |= {"guitar note": "guitar_notes/audio/*"}
METHODS: tuple[Method, ...] = ("gradient", "genetic", "hybrid")  # newton needs a render a number
RESULTS = Path(__file__).parent / "results"


def sounds(data: Path, name: str, count: int) -> list[Path]:
    """As many files of a class, the same for one folder of data."""
    found = sorted(path for path in data.glob(CLASSES[name]) if path.suffix.lower() in READABLE)
    return random.Random(0).sample(found, min(count, len(found)))


def heard(path: Path, seconds: float) -> tuple[Tensor, int]:
    """The sound from its onset on, and its rate: 48 kHz, or its own if that is lower."""
    own_rate = read_audio(path)[1]
    rate = min(own_rate, 48_000)
    audio, _ = read_audio(path, rate, dc="remove")
    start = first_non_silent_sample(audio) or 0
    return audio[start:][: round(seconds * rate)], rate


def measure(prefix: str, sound: Tensor, target: Tensor, rate: int) -> dict[str, float]:
    """MR-STFT and LSD, by the names of the columns."""
    pair = sound[None], target[None]
    loss, distance = MultiResolutionSTFTLoss(), LoudSpectralDistance()
    return {f"{prefix}mrstft": loss(*pair).item(), f"{prefix}lsd": distance.per_item(*pair).item()}


def row_of(
    path: Path, seconds: float, renders: int, method: Method, names: Sequence[str]
) -> dict[str, object]:
    """Match one sound, and measure it beside what needs no search."""
    target, rate = heard(path, seconds)
    synths = shipped_synths(rate, names)
    began = time.process_time()
    if len(synths) == 1:
        name, synth = next(iter(synths.items()))
        found = match(target, synth, method=method, renders=renders, sample_rate=rate)
    else:
        name, found, _ = vars(
            match_best(target, synths, method=method, renders=renders, sample_rate=rate)
        ).values()
    spent_s = time.process_time() - began
    level, attack = LevelDifference(), AttackTimeDifference(rate)
    pair = found.audio[None], target[None]
    return {
        "synth": name,
        **measure("", found.audio, target, rate),
        **measure("coloured_", coloured_noise(target[None], rate)[0], target, rate),
        **measure("band_", band_noise(target[None], rate)[0], target, rate),
        "start_loss": found.history[0].best,
        "found_db": found.found_db,
        "level_db": level.per_item(*pair).item(),
        "attack_ms": attack.per_item(*pair).item(),
        "cpu_s": spent_s,
    }


def table(rows: list[dict[str, str]], group: str) -> str:
    """Means and shares of each group, as Markdown."""
    head = (
        f"| {group} | sounds | MR-STFT / LSD | coloured noise | band noise | beats coloured noise in both |"
    )
    head += " level within 1 dB | attack within 5 ms | CPU s |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for name in [*dict.fromkeys(row[group] for row in rows), "all"]:
        part = [row for row in rows if name in (row[group], "all")]
        mean = {
            key: sum(float(row[key]) for row in part) / len(part)
            for key in part[0]
            if key not in ("class", "file", "method", "synth", "renders", "seconds")
        }
        beats = [
            float(row["mrstft"]) < float(row["coloured_mrstft"])
            and float(row["lsd"]) < float(row["coloured_lsd"])
            for row in part
        ]
        level = [abs(float(row["level_db"])) <= 1 for row in part]
        attack = [float(row["attack_ms"]) <= 5 for row in part]
        pairs = [
            f"{mean[f'{key}mrstft']:.3f} / {mean[f'{key}lsd']:.2f}" for key in ("", "coloured_", "band_")
        ]
        shares = [f"{sum(hits)}/{len(part)}" for hits in (beats, level, attack)]
        cells = [name, str(len(part)), *pairs, *shares, f"{mean['cpu_s']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(args: Sequence[str] | None = None) -> None:
    """Match, write a row a sound, then the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.match_all", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=20, help="sounds of each class")
    parser.add_argument("--classes", nargs="+", choices=CLASSES, default=list(CLASSES))
    parser.add_argument("--renders", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each sound")
    parser.add_argument("--methods", action="store_true", help="compare the methods of search")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    methods, names = (METHODS, ["modal_noise"]) if given.methods else (METHODS[:1], list(AUTO))
    study = "methods" if given.methods else "classes"
    command = shlex.join(["python", "-m", "experiments.match_all", "DATA", *(args or sys.argv[1:])[1:]])
    said, path = f"`{command}`", given.results / f"{study}.csv"
    given.results.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(path.open())) if path.is_file() else []
    done = {(row["file"], row["method"], row["renders"], row["seconds"]) for row in rows}
    for number in range(given.count):  # a sound of each class in turn: what is stopped is even
        for kind in given.classes:
            chosen = sounds(given.data, kind, given.count)
            for method in methods if number < len(chosen) else ():
                file = chosen[number].relative_to(given.data).as_posix()
                key = (file, method, str(given.renders), str(given.seconds))
                if key in done:
                    continue
                found = row_of(chosen[number], given.seconds, given.renders, method, names)
                numbers = {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in found.items()}
                row = {"class": kind, **dict(zip(("file", "method", "renders", "seconds"), key, strict=True))}
                rows.append(row | numbers)
                _save(given.results / study, rows, said)
                logger.info("%s %s: %s", file, method, " ".join(f"{k}={v}" for k, v in numbers.items()))
    sys.stdout.write(_save(given.results / study, rows, said))


def _save(path: Path, rows: list[dict[str, str]], said: str) -> str:
    """All rows, and their table under the command that made them."""
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    group = "method" if path.name == "methods" else "class"
    text = f"{said}, {time.strftime('%Y-%m-%d')}\n\n{table(rows, group)}"
    path.with_suffix(".md").write_text(text)
    return text


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
