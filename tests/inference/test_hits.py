"""Hits in a live stream, and the plug-in's front end in Python."""

import numpy as np
import pytest
import torch
from golden_parts import plugin_settings

from drumblender.dsp.onsets import cut_hits, detect_onsets
from drumblender.features import (
    RMS,
    CascadingFrameExtractor,
    SpectralCentroid,
    SpectralFlatness,
    TemporalCentroid,
)
from drumblender.inference.hits import HitStream, RunningScale

RATE = 44100


def onset_features(window="hann", floor_db=-80.0, frame_size=256, **epsilon):
    parts = [
        RMS(db=True, floor_db=floor_db, **epsilon),
        SpectralCentroid(RATE, window, **epsilon),
        SpectralFlatness(window=window, **epsilon),
    ]
    return CascadingFrameExtractor(parts, [1], frame_size=frame_size, hop_length=frame_size)


@pytest.mark.parametrize("block", [64, 441, 52920])
def test_the_plugin_front_end_is_reproduced(golden, block):
    numbers = golden("remap", "plugin_controller")
    audio = (numbers["in_x_int16"].numpy() / 32768).astype(np.float32)
    said, rate = numbers.parameters, numbers.config["sample_rate"]
    features = onset_features(said["window"], said["floor_db"], said["frame_size"], epsilon=said["epsilon"])
    stream = HitStream(features, rate, plugin_settings(numbers), backtrack_samples=said["backtrack_samples"])
    hits = [hit for i in range(0, len(audio), block) for hit in stream.process(audio[i : i + block])]
    numbers.check("out_detections", [hit.onset for hit in hits])
    numbers.check("out_triggers", [hit.ready for hit in hits])
    raw = torch.stack([hit.features for hit in hits])
    numbers.check("out_raw", raw)
    scale = RunningScale()
    numbers.check("out_normalised", torch.stack([scale(row) for row in raw]))


@pytest.mark.parametrize("block", [1, 100, 4096])
def test_hits_of_a_stream_are_those_of_the_recording(block):
    rng = np.random.default_rng(0)
    audio = np.zeros(20000, dtype=np.float32)
    for start in (0, 5000, 12000):
        audio[start:] += (rng.uniform(-1, 1, 20000 - start) * 0.998 ** np.arange(20000 - start)).astype("f4")
    stream = HitStream(onset_features(), RATE)
    hits = [hit for i in range(0, len(audio), block) for hit in stream.process(audio[i : i + block])]
    onsets = detect_onsets(audio, RATE)
    assert [hit.onset for hit in hits] == onsets and len(onsets) == 3
    frames = torch.from_numpy(cut_hits(audio, onsets, 256, pad_overlap=False, backtrack=16))
    assert torch.allclose(torch.stack([hit.features for hit in hits]), onset_features()(frames), atol=1e-4)


def test_the_plugin_front_end_needs_no_epsilon():
    size, bins = torch.arange(256), torch.arange(129)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * size.double() / 255)
    quiet = 1e-3 * torch.sin(2 * torch.pi * 20 * size.double() / 256)
    frames = torch.stack([torch.zeros(256), quiet.float()])
    measured = onset_features("symmetric_hann", epsilon=0.0)(frames)
    magnitude = torch.fft.rfft(quiet * window).abs()
    power = magnitude.square().clamp(min=1e-10)
    centroid_hz = (bins * magnitude).sum() / magnitude.sum() * RATE / 256
    expected = [
        20 * (quiet.square().mean().sqrt() + 1e-8).log10(),
        12 * (centroid_hz / 440).log2() + 69,
        20 * (power.log().mean().exp() / power.mean()).log10(),
    ]
    assert measured[0].tolist() == pytest.approx([-80, 0, 0], abs=1e-4)
    assert measured[1].tolist() == pytest.approx([value.item() for value in expected], abs=1e-3)


def test_a_block_that_is_no_number_is_silence_and_one_of_two_channels_is_refused(unchecked):
    stream = HitStream(onset_features(), RATE)
    stream.process(np.full(64, np.nan, dtype=np.float32))
    hit = np.random.default_rng(0).uniform(-1, 1, 2000).astype("f4") * 0.998 ** np.arange(2000)
    assert len(stream.process(hit)) == 1
    with pytest.raises(ValueError, match="mono"):
        stream.process(np.zeros((2, 64), dtype=np.float32))


def test_features_without_an_end_are_refused():
    with pytest.raises(ValueError, match="no end to wait for"):
        HitStream(TemporalCentroid(RATE), RATE)
