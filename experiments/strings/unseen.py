"""Train ``cfg/strings/small.yaml`` on one guitar and measure it on another: one command.

    python -m experiments.strings.unseen NOTES_FOLDER --output results/strings
    python -m experiments.strings.unseen NOTES_FOLDER --output results/burst --burst

prepares the folder (``examples.json`` and ``audio/``, as NSynth has them), trains, tests, and writes
``unseen.md`` and ``unseen.json``. Windows whose excitation is the recording itself are left out of every
figure. What is prepared or trained already is not done again. Further options are those of ``drumblender
fit``, such as ``--data.every 3``.
"""

import argparse
import csv
import sys
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.audio_io import read_audio
from drumblender.console import exit_status
from drumblender.types import Audio
from experiments import unseen

DATA = Path(__file__).parent / "config" / "instruments.yaml"
RATE = 16000
FRAME = RATE // 50
_LATE_S = 2.0


def levels_db(sound: Audio) -> Float[Tensor, "batch frames"]:
    """Of frames of 20 ms."""
    power = sound.unfold(-1, FRAME, FRAME).square().mean(dim=-1)
    return 10 * torch.log10(power.clamp(min=1e-12))


def envelope_db(prediction: Audio, target: Audio) -> float:
    """Mean distance of the levels, where the target is above -60 dB of its loudest frame.

    >>> sound = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    >>> round(envelope_db(2 * sound, sound), 2)
    6.02
    """
    played, wanted = levels_db(prediction), levels_db(target)
    heard = wanted > wanted.max() - 60
    return float((played - wanted).abs()[heard].mean())


def share_better(items: Path, than: str, by: float = 0.05) -> float:
    """On which share of the items the model's MR-STFT is so much below that of a baseline."""
    found: dict[str, dict[str, float]] = {}
    with items.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["kind"], {})[row["name"]] = float(row["mrstft"])
    both = found["model"].keys() & found[than].keys()  # an item that is alone in its batch has no others
    return sum(found["model"][name] < (1 - by) * found[than][name] for name in both) / len(both)


def told(output: Path) -> str:
    """What only notes are asked: their fading, and whether the model hears which note it is given."""
    folder = unseen.items_of(output).parent
    pairs = [
        [read_audio(folder / kind / path.name)[0][None] for kind in ("pred", "target")]
        for path in sorted((folder / "target").glob("*.wav"))
    ]
    far = [envelope_db(*pair) for pair in pairs]
    frame = round(_LATE_S * RATE) // FRAME
    late = [abs(float((levels_db(played) - levels_db(wanted))[0, frame])) for played, wanted in pairs]
    better = share_better(unseen.items_of(output), "mean controls")
    return (
        f"\nEnvelope {sum(far) / len(far):.2f} dB; level at {_LATE_S:g} s within 6 dB on "
        f"{sum(value < 6 for value in late) / len(late):.0%} of {len(pairs)} notes; "
        f"better than its mean controls by 5 % on {better:.0%}.\n"
    )


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.strings.unseen", description=__doc__)
    parser.add_argument("root", type=Path, help="a folder of notes with examples.json")
    parser.add_argument("--output", type=Path, default=Path("results/strings"), help="where all goes")
    parser.add_argument("--burst", action="store_true", help="plucked by a burst of noise that is learned")
    given, overrides = parser.parse_known_args(args)
    small = "small_burst" if given.burst else "small"
    model = ["-c", "cfg/strings.yaml", "-c", f"cfg/strings/{small}.yaml", *overrides]
    if status := unseen.run(model, DATA, [f"--data.root={given.root}"], given.output):
        return status
    found = unseen.figures_of(unseen.items_of(given.output))
    table = unseen.to_markdown(found, ("all",), ("mrstft", "lsd_db", "bld_db"), ("level_db",))
    unseen.write(given.output, found, table + told(given.output))
    print((given.output / "unseen.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.strings.unseen"))
