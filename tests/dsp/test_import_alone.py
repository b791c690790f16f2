"""What numba compiles while it is imported is imported by one process at a time."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from drumblender.dsp.kernels import alone, jit
from drumblender.dsp.kernels.jit import cache_folder

IMPORT = """
from drumblender.dsp.kernels.alone import import_alone
print("ready", flush=True)
print(import_alone("colorsys").__name__)
"""


def test_another_process_waits_until_the_first_has_imported():
    with FileLock(cache_folder(Path(alone.__file__).parent) / "imports.lock"):
        other = subprocess.Popen([sys.executable, "-c", IMPORT], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=1)
    assert other.communicate(timeout=60)[0] == "colorsys\n"


def test_what_is_imported_waits_for_nobody():
    with FileLock(cache_folder(Path(alone.__file__).parent) / "imports.lock"):
        assert alone.import_alone("sys") is sys


def test_no_thread_is_given_what_another_is_still_importing(tmp_path, monkeypatch):
    (tmp_path / "imports_slowly.py").write_text("import time\ntime.sleep(0.5)\nready = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(alone.import_alone, "imports_slowly")
        while "imports_slowly" not in sys.modules:
            time.sleep(0.01)
        assert alone.import_alone("imports_slowly").ready
        assert first.result().ready


def test_where_nothing_can_be_kept_nothing_is_locked(monkeypatch):
    monkeypatch.setattr(jit, "cache_folder", lambda sources: None)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert alone.import_alone("colorsys").__name__ == "colorsys"


def test_no_loop_of_librosa_is_left_to_compile_later():
    """What its trackers of pitch need has all been imported with them."""
    script = """
import sys, numpy as np
from drumblender.dsp.kernels.alone import import_alone
pitch = import_alone("librosa.core.pitch")
before = set(sys.modules)
tone = np.sin(np.arange(16000) / 10)
pitch.yin(tone, fmin=55, fmax=1000, sr=16000), pitch.pyin(tone, fmin=55, fmax=1000, sr=16000)
print([name for name in set(sys.modules) - before if name.startswith("librosa")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
