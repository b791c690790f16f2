"""Hits in a live stream, and the plug-in's front end in Python."""

import numpy as np
import pytest
import torch

from drumblender.dsp.onsets import PLUGIN_SETTINGS, cut_hits, detect_onsets
from drumblender.features import (
    RMS,
    CascadingFrameExtractor,
    SpectralCentroid,
    SpectralFlatness,
    TemporalCentroid,
)
from drumblender.inference.hits import HitStream, RunningScale

RATE = 44100


def onset_features(window="hann"):
    parts = [RMS(db=True), SpectralCentroid(RATE, window), SpectralFlatness(window=window)]
    return CascadingFrameExtractor(parts, [1], frame_size=256, hop_size=256)


@pytest.mark.parametrize("block", [64, 441, 52920])
def test_the_plugin_front_end_is_reproduced(golden, block):
    numbers = golden("remap", "plugin_controller")
    audio = (numbers["in_x_int16"].numpy() / 32768).astype(np.float32)
    stream = HitStream(onset_features("symmetric_hann"), RATE, PLUGIN_SETTINGS, backtrack_samples=-2)
    hits = [hit for i in range(0, len(audio), block) for hit in stream.process(audio[i : i + block])]
    assert [hit.onset for hit in hits] == numbers["out_detections"].tolist()
    assert [hit.ready for hit in hits] == numbers["out_triggers"].tolist()
    raw = torch.stack([hit.features for hit in hits])
    assert (raw - numbers["out_raw"]).abs().max() <= 1e-3
    scale = RunningScale()
    assert (torch.stack([scale(row) for row in raw]) - numbers["out_normalised"]).abs().max() <= 1e-4


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


def test_features_without_an_end_are_refused():
    with pytest.raises(ValueError, match="no end to wait for"):
        HitStream(TemporalCentroid(RATE), RATE)
