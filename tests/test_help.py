"""The help that travels as text is what the parsers say; DRUMBLENDER_WRITE_HELP=1 writes it anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drumblender import cli
from drumblender.shipped import shipped_dir

FOLDER = Path(cli.__file__).with_name("help")


MAKE = """
import contextlib, io, json, sys
from drumblender import cli
verbs, cli.KEPT_HELP, made = cli.KEPT_HELP, (), {}
sys.argv[0] = "drumblender"
for verb in verbs:
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        cli.run([verb, "--help"])
    made[verb] = text.getvalue()
print(json.dumps(made))
"""


def own_help():
    """As the parsers make them, 80 columns wide."""
    given = {"env": os.environ | {"COLUMNS": "80"}, "capture_output": True, "text": True, "check": True}
    return json.loads(subprocess.run([sys.executable, "-c", MAKE], **given).stdout.splitlines()[-1])


def test_help_that_is_kept_is_what_the_parsers_say():
    for verb, made in own_help().items():
        if os.environ.get("DRUMBLENDER_WRITE_HELP"):
            text = made.replace(str(shipped_dir("cfg")), "{cfg}")
            (FOLDER / f"{verb}.txt").write_text(f"{cli.help_origin()}\n{text}", encoding="utf-8")
        if cli.kept_help(verb) is None:
            pytest.skip("made with another version of lightning")
        # where a line breaks depends on the folder that the package lies in
        assert cli.kept_help(verb).split() == made.split(), verb
