import csv
import math
import tracemalloc

import pytest
import soundfile
import torch

from drumblender.audio_io import read_blocks
from drumblender.cli import run
from drumblender.controllers import HeardControls, PitchHead
from drumblender.encoders import PitchCNN
from drumblender.features import CQT
from drumblender.features.trackers import tracker
from drumblender.inference.pitch import NetworkTracker, make_tracker
from drumblender.losses import MultiScaleSpectralLoss
from drumblender.open_sound import BadAudioError
from drumblender.synths import HarmonicSynth
from drumblender.tasks import PitchTask

RATE = 22050


def melody(path, seconds=1.0, freqs_hz=(220.0, 330.0)):
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    parts = [sum(0.3 / k * torch.sin(2 * math.pi * k * f * time_s) for k in range(1, 5)) for f in freqs_hz]
    sound = torch.cat(parts).float()
    soundfile.write(path, sound.numpy(), RATE)
    return sound


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_writes_the_pitch_and_the_notes_of_a_recording(tmp_path):
    melody(tmp_path / "in.wav")
    out = tmp_path / "out.csv"
    assert run(["pitch", str(tmp_path / "in.wav"), str(out), "--tracker", "yin", "--plot", "--sound"]) == 0
    frames = rows(out)
    assert len(frames) == 200 and frames[150]["time_s"] == "1.5000"
    assert float(frames[50]["f0_hz"]) == pytest.approx(220, rel=0.005) and frames[50]["voiced"] == "1"
    notes = [round(float(note["midi"])) for note in rows(tmp_path / "out.notes.csv")]
    assert notes[0] == 57 and notes[-1] == 64  # between them, a frame that hears both may find another
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    sung, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == RATE and len(sung) == 2 * RATE
    strongest = abs(torch.fft.rfft(torch.tensor(sung[: RATE // 2]))).argmax() * 2
    assert abs(strongest - 220) <= 2


def test_a_folder_keeps_its_tree_and_names_what_it_cannot_read(tmp_path, caplog):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    melody(tmp_path / "in" / "deep" / "a.wav", 0.3)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no sound")
    assert run(["pitch", str(tmp_path / "in"), str(tmp_path / "out"), "--tracker", "yin"]) == 0
    assert rows(tmp_path / "out" / "deep" / "a.csv")
    assert "bad.wav" in caplog.text


def test_a_stream_of_blocks_is_tracked_as_the_whole_is():
    sound = torch.sin(2 * math.pi * 220 * torch.arange(3 * RATE) / RATE)
    whole = tracker("yin", hop_s=0.02)(sound, RATE, span_s=0.7)
    parts = tracker("yin", hop_s=0.02).stream(iter(sound.split(1000)), RATE, span_s=0.7)
    torch.testing.assert_close(parts.f0_hz, whole.f0_hz)
    torch.testing.assert_close(parts.confidence, whole.confidence)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for _ in range(120):
            file.write(torch.zeros(RATE * 5, 2).numpy())  # ten minutes: 106 MB as float32
    tracemalloc.start()
    seconds = sum(len(block) for block in read_blocks(path)) / RATE
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds == 600 and peak < 10e6


def test_refuses_what_is_no_sound_or_no_tracker(tmp_path, capsys, caplog):
    soundfile.write(tmp_path / "nan.wav", torch.tensor([math.nan]).numpy(), RATE, subtype="FLOAT")
    with pytest.raises(BadAudioError, match="NaN"):
        list(read_blocks(tmp_path / "nan.wav"))
    with pytest.raises(ValueError, match="'ear'"):
        make_tracker("ear")
    melody(tmp_path / "in.wav", 0.2)
    assert run(["pitch", str(tmp_path / "in.wav"), str(tmp_path / "out.txt"), "--tracker", "yin"]) == 1
    assert "out.csv" in capsys.readouterr().err
    (tmp_path / "half.wav").write_bytes((tmp_path / "in.wav").read_bytes()[:-1000])
    assert run(["pitch", str(tmp_path / "half.wav"), str(tmp_path / "out.csv"), "--tracker", "yin"]) == 1
    assert "half.wav: is truncated" in caplog.text and not (tmp_path / "out.csv").exists()


def test_a_network_that_hears_averages_hears_stretches_as_long_as_its_tones():
    torch.manual_seed(0)
    cqt = CQT(reduce=True)
    controls = HeardControls(PitchCNN(cqt, cached=True, channels=(4, 3, 3, 2, 1)), PitchHead())
    task = PitchTask(controls, HarmonicSynth(4, 16000), MultiScaleSpectralLoss()).eval()
    ear = NetworkTracker(task, num_samples=2048, hop_s=0.02)
    sound = torch.sin(2 * math.pi * 220 * torch.arange(16000) / 16000)
    sound[:6000] = 0
    found = ear(0.1 * sound, 16000)
    middle = round(0.6 / 0.02)
    part = sound[9600 - 1024 : 9600 + 1024]
    heard = cqt(0.9 * part[None] / part.abs().max())[:, 0]
    _, shares = controls.head.pitch(controls.encoder.net(heard)[None])
    strongest = controls.head.range_hz.denormalize(shares.argmax() / (shares.shape[-1] - 1)).item()
    assert found.f0_hz[middle].item() == pytest.approx(strongest, rel=0.06)
    assert not found.voiced[:10].any()
    whole = NetworkTracker(task, num_samples=2048, hop_s=0.02)(0.1 * sound, 16000, span_s=0.3)
    # Spans begin between the stretches of the whole, and what lies between is on lines.
    torch.testing.assert_close(whole.f0_hz[15:], found.f0_hz[15:], rtol=0.03, atol=0)
