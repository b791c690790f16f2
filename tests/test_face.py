"""What `import drumblender` costs and promises."""

import subprocess
import sys
from pathlib import Path

import pytest

import drumblender


def test_an_import_brings_nothing_slow_along():
    slow = "{'torch', 'numpy', 'scipy', 'numba', 'lightning', 'jsonargparse', 'librosa'}"
    script = f"import sys, drumblender; print(sorted({slow} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_every_name_of_the_face_is_there_and_no_other():
    assert all(getattr(drumblender, name) is not None for name in drumblender.__all__)
    assert dir(drumblender) == sorted(drumblender.__all__)
    with pytest.raises(AttributeError, match="no attribute 'snare'"):
        drumblender.snare  # noqa: B018


def test_its_types_are_for_others_too():
    assert Path(drumblender.__file__).with_name("py.typed").is_file()
