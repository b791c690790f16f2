"""Compiled loops are kept where their sources say, and compiled anew where that is damaged."""

import os
import runpy
import shutil
import subprocess
import sys

import pytest

from drumblender.dsp.kernels import jit

KERNEL = """
from drumblender.dsp.kernels.jit import jit
@jit
def double(x):
    return 2 * x
"""

CALLS_A_PART = """
import hashlib
import numpy as np
from drumblender.dsp.kernels.jit import FASTEST, jit, part

@part
def adjoint(grad, gates, by_state, by_gates):
    size = grad.size
    reset, update, new = gates[:size], gates[size : 2 * size], gates[2 * size :]
    by_new, by_reset, by_update = by_gates[:size], by_gates[size : 2 * size], by_gates[2 * size :]
    for k in range(size):
        flow = by_state[k] + grad[k]
        by_new[k] = flow * (1 - update[k]) * (1 - new[k] * new[k])
        by_update[k] = flow * new[k] * update[k] * (1 - update[k])
        by_state[k] = flow * update[k]
    for k in range(size):
        by_reset[k] = by_new[k] * reset[k] * (1 - reset[k])

@jit(fastmath=FASTEST)
def adjoints(grad, gates, by_state, by_gates):
    for n in range(len(grad)):
        adjoint(grad[n], gates[n], by_state[n], by_gates[n])

random = np.random.default_rng(0)
arrays = [random.random((8, size), np.float32) for size in (77, 231, 77, 231)]
adjoints(*arrays)
content = b"".join(array.tobytes() for array in arrays)
print(hashlib.sha256(content).hexdigest(), len(adjoints.stats.cache_hits))
"""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.config, "CACHE_DIR", "")
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "kernel.py").write_text(KERNEL)
    jit.cache_folder.cache_clear()
    return folder


def call(folder, number=21):
    """The result of the kernel, compiled or loaded for the first time, and whether it was loaded."""
    double = runpy.run_path(str(folder / "kernel.py"))["double"]
    return double(number), sum(double.stats.cache_hits.values())


def test_a_damaged_cache_is_compiled_over(sources):
    assert call(sources) == (42, 0)
    assert call(sources) == (42, 1)
    (file,) = jit.cache_folder(sources).iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    for damage in (content, b""):
        file.write_bytes(damage)
        assert call(sources) == (42, 0)
        assert call(sources) == (42, 1)


def test_two_that_compile_at_the_same_time_overwrite_no_file_of_each_other(sources):
    """Each finds an empty folder, and both write into it in the end."""
    folder, kept = jit.cache_folder(sources), sources.parent / "kept"
    for number in (21, 21.5):
        assert call(sources, number) == (2 * number, 0)
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert call(sources, 21) == (42, 1) and call(sources, 21.5) == (43, 1)


def test_a_fresh_process_loads_what_another_compiled_and_mends_what_is_damaged(sources):
    script = "from kernel import double; print(double(21), len(double.stats.cache_hits))"
    assert [run(script, sources), run(script, sources)] == ["42 0\n", "42 1\n"]
    next(jit.cache_folder(sources).glob("*.nbc")).write_bytes(b"damaged")
    assert run(script, sources) == "42 0\n"


def test_the_process_that_compiles_gets_every_bit_that_later_ones_get(sources):
    """Its kernel must call the same copy of a part, not what the part was compiled to for itself."""
    (sources / "calls_a_part.py").write_text(CALLS_A_PART)
    (first, loaded), (second, loaded_again) = (run("import calls_a_part", sources).split() for _ in range(2))
    assert (loaded, loaded_again) == ("0", "1") and first == second


def run(script, sources):
    """What a script prints in a fresh process that can import from a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["PYTHONPATH"] = os.pathsep.join([str(sources), *sys.path])
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_source_that_changes_gives_another_folder(sources):
    folders = [jit.cache_folder(sources)]
    for name in ("kernel.py", "what_it_calls.py"):
        (sources / name).write_text(KERNEL + "# edited\n")
        jit.cache_folder.cache_clear()
        folders.append(jit.cache_folder(sources))
    assert len(set(folders)) == 3 and all(folder.is_dir() for folder in folders)
    shutil.copytree(sources, sources.parent / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    assert jit.cache_folder(sources.parent / "copy").name == folders[-1].name


def test_where_the_sources_are_read_only_the_user_keeps_the_cache(sources, tmp_path, monkeypatch):
    (sources / "__pycache__").write_text("a file, where a folder would have to be made")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert jit.cache_folder(sources).parent == tmp_path / "home" / "drumblender"
    (tmp_path / "nothing").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    jit.cache_folder.cache_clear()
    assert jit.cache_folder(sources) is None
    monkeypatch.setattr(jit, "cache_folder", lambda sources: None)
    assert jit.jit(abs_of)(-3) == 3  # compiled, and not kept


def abs_of(x):
    return x if x > 0 else -x


def test_compiling_is_told_once_and_what_is_kept_is_not(sources, caplog):
    with caplog.at_level("INFO", logger="drumblender"):
        assert call(sources) == (42, 0)
        assert call(sources) == (42, 1)
    assert [record.message[:17] for record in caplog.records] == ["Compiling kernels"]
