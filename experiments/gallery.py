"""What the models that ship sound like: ``python -m experiments.gallery``.

Writes ``checkpoints/README.md``, all their sounds with the words of their cards, and ``docs/gallery.png``,
one sound of each. The sounds are made by ``python -m experiments.ship``, from recordings that the cards name.
"""

import re
import sys
from pathlib import Path

from drumblender.atomic import atomic_write
from drumblender.audio_io import read_audio
from drumblender.callbacks.picture import draw_sounds
from drumblender.console import exit_status
from experiments.ship import FOLDER

PICTURE = FOLDER.parent / "docs" / "gallery.png"
PICTURED = {
    "drums_transient_2": "drums: a snare",
    "drums_small_3": "drums: a cymbal",
    "strings_1": "strings: an A2",
    "remap_maple_1": "remap: soft to loud",
    "guitar_1": "guitar: a singer's line",
    "pitch_1": "pitch: Ode to Joy, sung",
}
_SECONDS = 4.0
_SOUND = re.compile(r"^- \[(?P<file>\w+\.flac)\]\(sounds/\w+\.flac\)(?:: (?P<said>.+))?$")


def sounds_of(card: Path) -> dict[str, str]:
    """The sounds that a card lists, and its words for each."""
    found = map(_SOUND.match, card.read_text(encoding="utf-8").splitlines())
    return {match["file"]: match["said"] or match["file"].removesuffix(".flac") for match in found if match}


def page(folder: Path) -> str:
    """A row for each sound of each card, as Markdown."""
    lines = [
        "# Models that ship, and what they sound like",
        "",
        "`drumblender checkpoints` lists them with their figures; a card each tells data, training,",
        "baselines and limits. Made by `python -m experiments.gallery`.",
    ]
    for card in sorted(folder.glob("*.md")):
        if sounds := sounds_of(card):
            lines += ["", f"## [{card.stem}]({card.name})", ""]
            lines += [f"- [{said}](sounds/{file})" for file, said in sounds.items()]
    return "\n".join(lines) + "\n"


def main(args: list[str] | None = None) -> int:
    if args or sys.argv[1:]:
        raise ValueError("python -m experiments.gallery takes no arguments.")
    with atomic_write(FOLDER / "README.md") as aside:
        aside.write_text(page(FOLDER), encoding="utf-8")
    heard = [read_audio(FOLDER / "sounds" / f"{name}.flac") for name in PICTURED]
    sounds = [(audio[: int(_SECONDS * rate)], rate) for audio, rate in heard]
    with atomic_write(PICTURE) as aside:
        draw_sounds(sounds, list(PICTURED.values())).savefig(aside, format="png", dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.gallery"))
