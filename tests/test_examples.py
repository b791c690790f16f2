"""Every example runs as it stands and writes sound."""

import runpy
from pathlib import Path

import pytest
import soundfile

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_runs(path, tmp_path, monkeypatch, unchecked):
    assert len(path.read_text().splitlines()) < 30
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    for sound in tmp_path.glob("*.wav"):
        samples, _ = soundfile.read(sound)
        assert len(samples) and 1e-4 < abs(samples).max() <= 1
