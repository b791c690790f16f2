"""Train ``cfg/drums/small.yaml`` on some kits and measure it on others: one command.

    python -m experiments.drums.unseen DRUMS_FOLDER --output results/unseen
    python -m experiments.drums.unseen DRUMS_FOLDER --output results/transient --transient

prepares the folder (a table ``SOURCES.csv`` with the columns file, kit and label), trains, tests, and writes
``unseen.md`` and ``unseen.json``: for each class of drum, MR-STFT / LSD / BLD, level and attack of the model
and of all that needs no training. What is prepared or trained already is not done again. Further options are
those of ``drumblender fit``, such as ``--trainer.max_epochs 40``.
"""

import argparse
import sys
from pathlib import Path

from drumblender.console import exit_status
from experiments import unseen

DATA = Path(__file__).parent / "config" / "kits.yaml"
CLASSES = ("kick", "tom", "snare", "perc", "hihat", "cymbal")
MEASURES = ("mrstft", "lsd_db", "bld_db")


def class_of(name: str) -> str:
    """The class that a path such as ``acoustic/kick/x.flac`` or its file name tells.

    Raises:
        ValueError: It tells none.

    >>> class_of("electronic_hihat_808")
    'hihat'
    """
    for part in name.replace("/", "_").split("_"):
        if part in CLASSES:
            return part
    raise ValueError(f"{name} names none of {', '.join(CLASSES)}.")


def run(raw_dir: Path, output: Path, overrides: list[str], config: str = "small") -> int:
    """Prepare, train and test, and write the tables; returns the exit status."""
    model = ["-c", f"cfg/drums/{config}.yaml", *overrides]
    if status := unseen.run(model, DATA, [f"--data.raw_dir={raw_dir}"], output):
        return status
    found = unseen.figures_of(unseen.items_of(output), class_of)
    unseen.write(
        output, found, unseen.to_markdown(found, ("all", *CLASSES), MEASURES, ("level_db", "attack_ms"))
    )
    return 0


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.drums.unseen", description=__doc__)
    parser.add_argument("raw_dir", type=Path, help="a folder of drums with SOURCES.csv")
    parser.add_argument("--output", type=Path, default=Path("results/unseen"), help="where all goes")
    parser.add_argument("--transient", action="store_true", help="the attack is a voice of its own")
    given, overrides = parser.parse_known_args(args)
    config = "small_transient" if given.transient else "small"
    status = run(given.raw_dir, given.output, overrides, config)
    if status == 0:
        print((given.output / "unseen.md").read_text())
    return status


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.drums.unseen"))
