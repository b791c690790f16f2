"""What trainings of the pitch network came to: curves, tones that were left out, and recorded notes.

    python -m experiments.pitch.trained NOTES RUN [RUN ...] --output experiments/pitch/results

NOTES is a folder in NSynth's format, RUN the folder of a run, ``logs/NAME/version_0``. Writes
``trained_curves.csv`` and ``trained.png``, the accuracies at each validation, and ``trained.md``: of the last
weights and of those with the best validation, accuracies on the test split and the commonest ratios of a
pitch to the true one; and accuracies of the tracker on every so many of the notes.
"""

import argparse
import csv
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from drumblender.checkpoints import load_checkpoint
from drumblender.inference.pitch import make_tracker
from experiments.pitch.judged import accuracies, fields_of, ratios
from experiments.pitch.trackers import read_notes, row

MEASURES = {"rpa": "raw_pitch_accuracy", "rca": "raw_chroma_accuracy", "loss": "loss"}
Curve = dict[int, dict[str, float]]


def curve_of(run: Path) -> Curve:
    """By step, what each validation measured; a step that was taken again after a stop counts once."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    curve: Curve = {}
    for name, logged in MEASURES.items():
        for event in events.Scalars(f"validation/{logged}"):
            curve.setdefault(event.step, {})[name] = round(event.value, 5)
    return dict(sorted(curve.items()))


def tested(checkpoint: Path) -> tuple[dict[str, float], str]:
    """Accuracies in per cent on the test split of its data, and the ratios."""
    loaded = load_checkpoint(checkpoint)
    loaded.data.setup("test")
    tones = fields_of(loaded.data.test_dataloader(), torch.device("cpu"))
    voice = loaded.task.eval().voices["tone"]
    truth = tones.pop("f0_hz")
    with torch.no_grad():
        controls = voice.controls({name: value for name, value in tones.items() if name != "amp"})
    found = voice.synth.to_units(controls)["f0_hz"][..., 0]
    return accuracies(found, truth), ratios(found, truth)


def draw(curves: dict[str, Curve], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
    for axis, name in zip(axes, ("rpa", "rca"), strict=True):
        for label, curve in curves.items():
            axis.plot(list(curve), [100 * values[name] for values in curve.values()], ".-", label=label)
        axis.set(xlabel="step", ylim=(-3, 103), title={"rpa": "raw pitch accuracy", "rca": "in chroma"}[name])
    axes[0].set_ylabel("% of validation tones")
    axes[1].legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=12, help="Hear one note of so many.")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    curves = {run.parent.name: curve_of(run) for run in given.runs}
    with (given.output / "trained_curves.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("run", "step", *MEASURES))
        for name, curve in curves.items():
            table.writerows([name, step, *values.values()] for step, values in curve.items())
    draw(curves, given.output / "trained.png")
    notes = list(read_notes(given.notes, given.every))
    lines = [
        f"# Trainings of the pitch network, {date.today()}",
        f"RPA and RCA in per cent of the test tones, which neither trained nor chose; and of {len(notes)} "
        "recorded notes, a second of each.",
        "| run | weights | step | RPA | RCA | ratio to the true pitch | notes, RPA | RCA |\n"
        + "|---" * 8
        + "|",
    ]
    body = []
    for run in given.runs:
        for kind in ("last", "best"):
            checkpoint = run / "checkpoints" / f"{kind}.ckpt"
            step = torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]
            found, shares = tested(checkpoint)
            heard = [100 * share for share in row(make_tracker(str(checkpoint)), notes, None)[:2]]
            figures = f"{found['rpa']} | {found['rca']} | {shares} | {heard[0]:.1f} | {heard[1]:.1f}"
            body.append(f"| {run.parent.name} | {kind} | {step} | {figures} |")
    text = "\n\n".join(lines) + "\n" + "\n".join(body) + "\n"
    (given.output / "trained.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
