"""Checkpoints of timbre transfer on phrases left out of training, beside what needs no training: one command.

    python -m experiments.guitar.unseen CKPT [CKPT ...] --prepared DIR --output experiments/guitar/results

measures the test phrases of the first checkpoint's data: every checkpoint and the table below its network,
a sawtooth and a plucked string of the same pitch and loudness, one mean spectrum, and silence. Where the
first checkpoint looks frames up, also simpler tables of the same frames: by pitch and loudness alone, and by
all that is heard but brightness. Also the errors of pitch and level of each. The split is by recording, and
the table says what is shared with training.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from drumblender.atomic import write_json
from drumblender.checkpoints import load_checkpoint
from drumblender.console import exit_status
from drumblender.controllers import KernelSpectra, SpectrumTable
from drumblender.dsp.units import db_to_gain
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.note_position import NotePosition
from drumblender.inference.shelf import find_checkpoint
from drumblender.metrics.following import following_errors
from drumblender.tasks import GuitarTask
from drumblender.tasks.measures import measured
from drumblender.types import Audio

HOP, RATE = 160, 16000


def plucked_string(batch: dict[str, Tensor], seed: int = 0) -> Audio:
    """Karplus and Strong's string, plucked anew at every onset and scaled to the loudness of each frame."""
    curves = [batch[name][0] for name in ("f0_hz", "loudness_db", "periodicity")]
    onsets = sorted({0, *NotePosition().advance(*curves)[2]})
    draw, parts = np.random.default_rng(seed), []
    for start, stop in zip(onsets, [*onsets[1:], len(curves[0]) - 1], strict=True):
        size = (stop - start) * HOP
        delay = max(2, round(RATE / float(curves[0][min(start + 5, stop) : stop + 1].median()) - 0.5))
        burst = np.zeros(size)
        burst[:delay] = draw.uniform(-1, 1, min(delay, size))
        parts.append(lfilter([1.0], [1.0, *np.zeros(delay - 1), -0.498, -0.498], burst))
    sound = torch.from_numpy(np.concatenate(parts)).float()[None]
    own_db = FrameLoudness(RATE, HOP)(sound)[:, : len(curves[0])]
    gain_db = (curves[1][None, : own_db.shape[1]] - own_db).clamp(-60, 60)
    gain = torch.nn.functional.interpolate(gain_db[None], sound.shape[1], mode="linear", align_corners=True)[
        0
    ]
    return sound * db_to_gain(gain)


def mean_spectrum(task: GuitarTask, batch: dict[str, Tensor]) -> Audio:
    """The table with one spectrum in all of its places."""
    base = task.player.base
    held = base.values if isinstance(base, SpectrumTable) else base.spectra
    kept = held.clone()
    held.copy_(kept.flatten(0, -2).mean(dim=0).expand_as(kept))
    sound = task.baselines(batch)["table"]
    held.copy_(kept)
    return sound


def simpler_tables(task: GuitarTask) -> dict[str, SpectrumTable | KernelSpectra]:
    """Tables of the frames that a lookup by brightness knows, by what they hear."""
    base = task.player.base
    if not isinstance(base, KernelSpectra) or base.hears[-1] != "brightness_hz":
        return {}
    sizes, hears = (base.num_harmonics, base.num_bands), base.hears[:-1]
    lookup = KernelSpectra(*sizes, hears, len(base.places), base.widths)
    lookup.load_state_dict(base.state_dict() | {"places": base.places[:, : len(hears)]})
    places = {name: base.places[:, place] * base.widths[name] for place, name in enumerate(hears)}
    curves = {"f0_hz": 440 * torch.exp2((places["f0_hz"] - 69) / 12), "loudness_db": places["loudness_db"]}
    table = SpectrumTable(*sizes)
    table.learn(curves, base.spectra, torch.ones_like(base.spectra, dtype=torch.bool))
    return {"table of pitch and loudness": table, "lookup without brightness": lookup}


def by_table(task: GuitarTask, base: SpectrumTable | KernelSpectra, batch: dict[str, Tensor]) -> Audio:
    """What another table plays in the place of the model's own."""
    own, task.player.base = task.player.base, base
    sound = task.baselines(batch)["table"]
    task.player.base = own
    return sound


@torch.no_grad()
def figures(names: list[str], prepared: Path) -> tuple[dict[str, dict[str, float]], str]:
    """Mean over phrases of every measure, by what played; and what the splits share."""
    models = {Path(name).stem: load_checkpoint(find_checkpoint(name)) for name in names}
    first = next(iter(models.values()))
    data, rows = first.data, {}
    data.data_dir, tables = prepared, simpler_tables(first.task)
    data.setup("test")
    for number, batch in enumerate(data.test_dataloader()):
        sounds = {"plucked string": plucked_string(batch), "mean spectrum": mean_spectrum(first.task, batch)}
        for name, table in tables.items():
            with first.task.repeatable(number):
                sounds[name] = by_table(first.task, table, batch)
        for name, model in models.items():
            with model.task.repeatable(number):
                sounds[name] = model.task(batch)
                baselines = model.task.baselines(batch)
            sounds[f"table of {name}"] = baselines.pop("table")
            sounds |= baselines
        given = [batch[key] for key in ("f0_hz", "loudness_db", "periodicity")]
        for name, sound in sounds.items():
            sound = torch.nn.functional.pad(sound, (0, batch["audio"].shape[1] - sound.shape[1]))
            found = measured(sound, batch["audio"], RATE)
            found = {key: float(value.mean()) for key, value in found.items()}
            found |= following_errors(sound, *given, RATE)
            rows.setdefault(name, []).append(found)
    means = {
        name: {key: float(np.mean([row[key] for row in some])) for key in some[0]}
        for name, some in rows.items()
    }
    return means, f"Shared with training: {data.shared_recordings()['train/test'] or 'no recording'}."


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.guitar.unseen", description=__doc__)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--prepared", type=Path, required=True, help="the prepared phrases")
    parser.add_argument("--output", type=Path, default=Path("results/guitar"))
    given = parser.parse_args(args)
    found, shared = figures(given.checkpoints, given.prepared)
    keys = list(next(iter(found.values())))
    lines = ["| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name in sorted(found, key=lambda name: found[name][keys[0]]):
        lines.append(f"| {name} | " + " | ".join(f"{found[name][key]:.3g}" for key in keys) + " |")
    text = "\n".join([*lines, "", shared, ""])
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "unseen.md").write_text(text, encoding="utf-8")
    write_json(given.output / "unseen.json", found)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.guitar.unseen"))
