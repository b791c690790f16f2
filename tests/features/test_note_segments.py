import pytest
import torch

from drumblender.features.note_segments import segment_notes
from drumblender.features.tracking import Track


def track(*runs):
    """A track at 100 frames a second from (frames, Hz) pairs; 0 Hz is unvoiced."""
    pitch = torch.cat([torch.full((frames,), float(f0_hz)) for frames, f0_hz in runs])
    voiced = pitch > 0
    return Track(torch.where(voiced, pitch, 100.0), voiced.float(), voiced, 0.01)


def spans(found):
    return [(round(note.start_s, 2), round(note.end_s, 2), round(note.midi)) for note in found]


def test_a_note_ends_at_silence_and_at_another_pitch():
    found = segment_notes(track((10, 0), (20, 220), (10, 0), (20, 220), (20, 233.08)))
    assert spans(found) == [(0.1, 0.3, 57), (0.4, 0.6, 57), (0.6, 0.8, 58)]


def test_drop_outs_wrong_octaves_and_clicks_make_no_notes():
    assert spans(segment_notes(track((20, 220), (3, 0), (20, 220), (2, 440), (20, 220)))) == [(0.0, 0.65, 57)]
    assert spans(segment_notes(track((10, 0), (4, 220), (10, 0)))) == []


def test_vibrato_is_one_note_and_silence_none():
    time_s = torch.arange(200) / 100
    pitch = 440 * 2 ** (50 / 1200 * torch.sin(2 * torch.pi * 6 * time_s))
    voiced = torch.ones(200, dtype=torch.bool)
    assert spans(segment_notes(Track(pitch, voiced.float(), voiced, 0.01))) == [(0.0, 2.0, 69)]
    assert segment_notes(track((50, 0))) == []


def test_rejects():
    with pytest.raises(ValueError, match="apart_cents=0"):
        segment_notes(track((5, 100)), apart_cents=0)
