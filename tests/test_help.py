"""The help that travels as text is what the parsers say; DRUMBLENDER_WRITE_HELP=1 writes it anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drumblender import cli
from drumblender.shipped import shipped_dir

FOLDER = Path(cli.__file__).with_name("help")


def own_help(verb):
    """As the parser makes it, 80 columns wide."""
    code = "from drumblender import cli; cli.KEPT_HELP = (); cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, verb, "--help"],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("verb", cli.KEPT_HELP)
def test_help_that_is_kept_is_what_the_parser_says(verb):
    path, made = FOLDER / f"{verb}.txt", own_help(verb)
    if os.environ.get("DRUMBLENDER_WRITE_HELP"):
        text = made.replace(str(shipped_dir("cfg")), "{cfg}")
        path.write_text(f"{cli.help_origin()}\n{text}", encoding="utf-8")
    if cli.kept_help(verb) is None:
        pytest.skip("made with another version of lightning")
    # where a line breaks depends on the folder that the package lies in
    assert cli.kept_help(verb).split() == made.split()
