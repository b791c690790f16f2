import math
import re
import sys

import pytest
import torch
from references import reference

from drumblender.dsp.units import cents_between
from drumblender.features import FCNF0Pitch, NoPitchError, PYINPitch
from drumblender.features.pitch import bridge_unvoiced
from drumblender.features.trackers import tracker


def test_yin_hears_a_string(generator):
    rate, f0_hz = 16000, 196.0
    phase = 2 * math.pi * f0_hz * torch.arange(8000) / rate
    sound = sum(torch.sin(k * phase) / k for k in range(1, 8))[None]
    heard = PYINPitch()(sound)
    assert heard.shape == (1, 8000 // 256)
    assert cents_between(heard[0, 3:-3], torch.tensor(f0_hz)).abs().max() < 20


def test_noise_and_silence_have_no_pitch():
    with pytest.raises(NoPitchError):
        PYINPitch()(torch.zeros(1, 8000))


def test_unvoiced_frames_lie_on_straight_lines_in_octaves():
    pitch = torch.tensor([1.0, 100, 7, 7, 7, 400, 9])
    voiced = torch.tensor([False, True, False, False, False, True, False])
    bridged = bridge_unvoiced(pitch, voiced)
    assert torch.allclose(bridged, torch.tensor([100.0, 100, 141.4214, 200, 282.8427, 400, 400]))


def test_a_missing_penn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "penn", None)
    with pytest.raises(ModuleNotFoundError, match=r"drumblender\[penn\]"):
        FCNF0Pitch()(torch.zeros(1, 4000))


def test_a_penn_that_is_not_made_for_this_torch_says_so_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "penn.py").write_text("raise FileNotFoundError('No torbi library matches pt214cu130')")
    monkeypatch.delitem(sys.modules, "penn", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    message = re.escape(f"penn has nothing compiled for torch {torch.__version__}")
    with pytest.raises(ImportError, match=message):
        FCNF0Pitch()(torch.zeros(1, 4000))
    with pytest.raises(ImportError, match=message):
        tracker("fcnf0")(torch.zeros(4000), 16000)


def loudest_bin(frames, checkpoint=None):
    """In the place of penn's network, whose weights are fetched: all of the logits on the loudest pitch."""
    spectrum = torch.fft.rfft(frames[:, 0] * torch.hann_window(1024), n=1 << 17).abs()
    freq_hz = spectrum.argmax(dim=1) * 8000 / (1 << 17)
    bins = (240 * torch.log2(freq_hz.clamp(min=31.0) / 31.0)).round().long()  # of 5 cents from 31 Hz
    return 50.0 * torch.nn.functional.one_hot(bins, 1440)[..., None]


@pytest.mark.parametrize("f0_hz", [110.0, 391.995])
def test_the_pitch_that_penn_decodes_lies_on_every_hop(monkeypatch, f0_hz):
    penn = reference("penn")
    monkeypatch.setattr(penn.core, "infer", loudest_bin)
    monkeypatch.setattr(penn, "infer", loudest_bin)
    tone = torch.sin(2 * math.pi * f0_hz / 16000 * torch.arange(8000))
    pitch = FCNF0Pitch()(tone[None])
    assert pitch.shape == (1, 8000 // FCNF0Pitch().hop_length)
    assert cents_between(pitch, torch.full_like(pitch, f0_hz))[:, 2:-2].abs().max() < 5
    heard = tracker("fcnf0")(tone, 16000)
    assert cents_between(heard.f0_hz, torch.full_like(heard.f0_hz, f0_hz)).abs().median() < 5


def test_missing_weights_are_named():
    with pytest.raises(FileNotFoundError, match="nowhere.pt"):
        FCNF0Pitch(checkpoint="nowhere.pt")


@pytest.mark.parametrize("tracker", [FCNF0Pitch, PYINPitch])
def test_impossible_limits_are_refused(tracker):
    with pytest.raises(ValueError, match="fmin"):
        tracker(fmin=500.0, fmax=100.0)


def test_golden_fcnf0(golden, monkeypatch):
    penn = reference("penn")
    numbers = golden("strings", "fcnf0_pitch")
    heard = []

    def infer(frames, checkpoint=None):
        heard.append(frames)
        return ((frames[:, 0] @ numbers["in_P1"]) @ numbers["in_P2"])[..., None]

    monkeypatch.setattr(penn.core, "infer", infer)
    monkeypatch.setattr(penn, "infer", infer)
    pitch = FCNF0Pitch(**numbers.config["init"])(numbers["in_audio"])
    numbers.check("out_pitch_hz", pitch)
    numbers.check("out_frames0", heard[0][::16, 0])
