import json

import pytest
import torch

from drumblender.features import note_position
from drumblender.features.note_position import NotePosition


def plucks(times=(20, 60, 100), frames=140, pitch=220.0):
    level_db = torch.full((frames,), -80.0)
    for start in times:
        level_db[start:] = -20 - 0.4 * torch.arange(frames - start)
    return torch.full((frames,), pitch), level_db, torch.ones(frames)


def test_a_rise_begins_a_note():
    curves = plucks()
    age_s, peak_db, onsets = NotePosition().advance(*curves)
    assert onsets == [20, 60, 100]
    assert age_s[59].item() == pytest.approx(0.39, abs=1e-5)
    assert peak_db[59] == -20 and age_s[60] == 0


def test_a_step_of_pitch_begins_a_note_and_vibrato_does_not():
    frames = 300
    level_db, sure = torch.full((frames,), -20.0), torch.ones(frames)
    vibrato = 220 * 2 ** (0.4 / 12 * torch.sin(torch.arange(frames) * 0.35))
    assert NotePosition().advance(vibrato, level_db, sure)[2] == []
    legato = torch.where(torch.arange(frames) < 150, 220.0, 247.0)
    (onset,) = NotePosition().advance(legato, level_db, sure)[2]
    assert 150 <= onset <= 153
    assert NotePosition().advance(legato, level_db, 0 * sure)[2] == []  # no pitch, no step


@pytest.mark.parametrize("block", [1, 7])
def test_blocks_give_what_the_whole_gives(block):
    curves = plucks()
    whole, tracker = note_position(*(curve[None] for curve in curves)), NotePosition()
    parts = [
        tracker.advance(*(curve[start : start + block] for curve in curves))[:2]
        for start in range(0, 140, block)
    ]
    for which in (0, 1):
        assert torch.allclose(torch.cat([part[which] for part in parts]), whole[which][0], atol=1e-5)


def test_silence_has_no_onset():
    f0_hz, _, sure = plucks()
    assert NotePosition().advance(f0_hz, torch.full_like(f0_hz, -80.0), sure)[2] == []


def test_finds_the_plucks_of_a_recording(recordings):
    from drumblender.audio_io import read_audio
    from drumblender.features import FrameLoudness

    path = recordings("guitar_phrases") / "seq_shiny_mic_ode_to_joy.flac"
    notes = json.loads(path.with_suffix("").with_suffix(".notes.json").read_text())["notes"]
    level_db = FrameLoudness()(read_audio(path, 16000)[0])
    flat = torch.full_like(level_db, 220.0)
    onsets = torch.tensor(NotePosition().advance(flat, level_db, 0 * flat)[2]) / 100
    starts = torch.tensor([note["onset_s"] for note in notes])
    near = (onsets[:, None] - starts).abs() < 0.05
    assert near.any(dim=0).float().mean() > 0.9 and near.any(dim=1).float().mean() > 0.95
