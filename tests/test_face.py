"""What `import drumblender` costs and promises."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import drumblender
from drumblender.checkpoints import Loaded


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


SINE = np.sin(np.arange(4000) * 0.1)


BACKWARDS = np.ascontiguousarray(SINE[::-1])[::-1]  # the same numbers, with a negative stride
SOUNDS = [SINE, SINE[None], BACKWARDS, torch.from_numpy(SINE), torch.from_numpy(SINE)[None]]


@pytest.mark.parametrize("sound", SOUNDS)
def test_a_sound_of_numpy_or_torch_is_written_and_read(tmp_path, sound):
    drumblender.write(tmp_path / "sine.wav", sound, 8000)
    audio, rate = drumblender.read(tmp_path / "sine.wav")
    assert rate == 8000 and torch.allclose(audio, torch.from_numpy(SINE).float())


BAD = [
    (np.zeros((2, 4000)), r"samples in a row, got shape \(2, 4000\): give one, as sound\[0\]"),
    (np.zeros(0), r"samples in a row, got shape \(0,\)\."),
    (np.zeros(4000, dtype="int16"), "mostly from -1 to 1, got int16: scale it first"),
    (np.array([0.0, np.nan]), "not finite"),
]


@pytest.mark.parametrize("sound, told", BAD)
def test_what_is_no_sound_is_told_by_all(tmp_path, sound, told):
    hiss = drumblender.synths.NoiseSynth(8, 64, level_db=drumblender.Range(-80, 0))
    voice = drumblender.tasks.Voice(hiss, drumblender.controllers.FreeControls())
    task = drumblender.tasks.DrumTask({"hiss": voice}, torch.nn.L1Loss(), sample_rate=8000).eval()
    data = drumblender.data.AudioDataModule("sounds", sample_rate=8000)
    model = drumblender.Model(Loaded(task, data, sample_rate=8000))
    for use in (
        lambda: drumblender.write(tmp_path / "sound.wav", sound, 8000),
        lambda: drumblender.match(sound, hiss, renders=10, sample_rate=8000),
        lambda: model(sound, 8000),
    ):
        with pytest.raises(ValueError, match=told):
            use()
    assert not any(tmp_path.iterdir())


def test_a_file_of_another_kind_or_rate_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="sine.mp3 would be a WAV file: name it sine.wav"):
        drumblender.write(tmp_path / "sine.mp3", SINE, 8000)
    with pytest.raises(ValueError, match="sample_rate=0"):
        drumblender.write(tmp_path / "sine.wav", SINE, 0)


@pytest.mark.parametrize("freq_hz", [-1.0, float("nan")])
def test_a_value_that_no_control_stands_for_is_refused(freq_hz):
    ranges = {"freq_hz": drumblender.Range(50, 8000, log=True), "t60_s": drumblender.Range(0.05, 8)}
    bell = drumblender.synths.DampedModalSynth(num_modes=1, sample_rate=16000, **ranges)
    with pytest.raises(ValueError, match="freq of DampedModalSynth cannot be (-1.0|nan)"):
        bell.from_units({"freq": freq_hz, "t60": 1.0, "amp": 0.5})
