"""Files of controls are read whatever a stranger put into them: what is damaged is told."""

import zipfile

import numpy as np
import pytest

from drumblender.callbacks import controls
from drumblender.callbacks.controls import read_controls


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "hit.npz"
    value = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    with path.open("wb") as file:
        np.savez_compressed(file, **{"noise.amp": value})
    return path


def test_what_is_cut_or_changed_anywhere_is_damage_or_still_readable(whole):
    content = whole.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for place in generator.integers(0, len(content), 200):
        for bad in (content[:place], content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]):
            whole.write_bytes(bad)
            try:
                read_controls(whole)
            except ValueError as error:
                assert "is no file of controls" in str(error)
                refused += 1
    assert refused > 200


def test_what_unpacks_to_more_than_memory_should_hold_is_refused(whole, monkeypatch):
    monkeypatch.setattr(controls, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="no file of controls: unpacked it is larger"):
        read_controls(whole)


def test_what_is_no_array_is_told(whole):
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("noise.amp.npy", b"no array")
    with pytest.raises(ValueError, match="no file of controls"):
        read_controls(whole)
