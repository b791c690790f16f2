import copy
import json

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data import PhraseDataModule
from drumblender.data.phrase_items import Crops
from drumblender.data.phrase_split import (
    Note,
    PhraseSplitting,
    choose,
    notes_of,
    performance_of,
    silent_stretches,
    take_of,
)
from drumblender.data.prepare.manifest import load_rejected
from drumblender.features import FrameLoudness, NoteCurves

RATE = 16000


def write(folder, name, notes=(), samples=None, seconds=2.0):
    """A made-up phrase of decaying tones, and where given the file of its notes."""
    time_s = np.arange(int(RATE * seconds)) / RATE
    sound = np.zeros_like(time_s)
    for start, midi in notes or [(0.1, 57)]:
        since = np.clip(time_s - start, 0, None)
        tone = np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * since) * np.exp(-3 * since)
        sound = np.where(time_s >= start, 0.3 * tone, sound)
    soundfile.write(folder / f"{name}.wav", sound, RATE)
    if samples:
        said = {"samples": samples, "notes": [{"onset_s": on, "midi_pitch": midi} for on, midi in notes]}
        (folder / f"{name}.notes.json").write_text(json.dumps(said))


@pytest.fixture
def raw(tmp_path):
    return made_up(tmp_path / "raw")


def made_up(folder):
    folder.mkdir()
    for number, version in ((1, "mic"), (2, "pickup")):
        train = [f"{version}/a3_vl1_rr1_{number}.wav", f"{version}/e4_vl1_rr1_{number}.wav"]
        write(folder, f"{version}_first", [(0.1, 57), (1.0, 64)], train)
        write(folder, f"{version}_second", [(0.2, 64)], [f"{version}/e4_vl1_rr1_{number}.wav"])
    write(folder, "third", [(0.1, 50)], ["d3_vl1_rr1_1.wav"])
    (folder / "broken.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("phrases")
    raw = made_up(tmp_path / "raw")
    module = PhraseDataModule(
        str(tmp_path / "prepared"),
        str(raw),
        num_harmonics=8,
        num_bands=4,
        split=PhraseSplitting(test=("second",), val=("third",)),
    )
    module.prepare_data()
    module.setup()
    return module


def test_stiff_strings_are_measured_where_that_is_asked_for(data):
    audio, _ = soundfile.read(data.data_dir / next(iter(data._manifest().values())).filename, dtype="float32")
    stiff = PhraseDataModule("x", num_harmonics=8, num_bands=4, stiff=True)
    fields = stiff.analyse(torch.from_numpy(audio)[None])
    assert fields["stiffness"].shape == fields["f0_hz"].shape
    assert "stiffness" not in data.analyse(torch.from_numpy(audio)[None])
    assert stiff.settings()["analysis.stiff"] and not data.settings()["analysis.stiff"]


def test_versions_of_a_performance_and_of_a_take_have_one_name():
    assert take_of("Samples/acoustic/a3_vl3_rr2_1.wav") == take_of("Samples/electric/a3_vl3_rr2_2.wav")
    assert performance_of("seq_mic_ode", ["mic", "pickup"]) == performance_of(
        "seq_pickup_ode", ["mic", "pickup"]
    )


def test_a_note_may_play_every_recording_near_its_pitch(raw):
    tags = notes_of(raw / "mic_first.wav")
    assert tags["takes"] == ["a3_vl1_rr1", "e4_vl1_rr1"]
    assert tags["notes"][0] == [0.1, 1.0, ["a3_vl1_rr1"]]
    (raw / "mic_first.notes.json").write_text('{"samples": 3}')
    with pytest.raises(ValueError, match="mic_first"):
        notes_of(raw / "mic_first.wav")


def test_a_phrase_with_damaged_notes_is_rejected_and_the_others_kept(raw, tmp_path):
    kept = PhraseDataModule(str(tmp_path / "whole"), str(raw), num_harmonics=0).preprocess(jobs=1).kept
    (raw / "mic_first.notes.json").write_text('{"samples": 3}')
    report = PhraseDataModule(str(tmp_path / "damaged"), str(raw), num_harmonics=0).preprocess(jobs=1)
    assert report.kept == kept - 1
    rejected = {one.source: one.reason for one in load_rejected(tmp_path / "damaged")}
    assert "mic_first.notes.json lacks samples or notes" in rejected["mic_first.wav"]


def test_a_louder_note_never_plays_a_softer_layer(tmp_path):
    samples = [f"c4_vl{layer}_rr{take}_1.wav" for layer, take in ((1, 1), (2, 1), (2, 2))]
    notes = [(0.1, 60, 20), (0.4, 60, 90), (0.7, 61, 100)]
    said = [{"onset_s": on, "midi_pitch": midi, "velocity": velocity} for on, midi, velocity in notes]
    (tmp_path / "one.notes.json").write_text(json.dumps({"samples": samples, "notes": said}))
    allowed = [some for *_, some in notes_of(tmp_path / "one.wav")["notes"]]
    assert allowed[0] == ["c4_vl1_rr1"] and allowed[2] == ["c4_vl2_rr1", "c4_vl2_rr2"]
    assert allowed[1] == ["c4_vl1_rr1", "c4_vl2_rr1", "c4_vl2_rr2"] or allowed[1] == allowed[2]


def test_left_out_performances_are_named_or_drawn():
    names = [f"p{number}" for number in range(8)]
    drawn = choose(names, PhraseSplitting(seed=1))
    assert sorted(drawn.values()) == ["test", "train", "train", "train", "train", "train", "train", "val"]
    assert drawn == choose(names, PhraseSplitting(seed=1)) != choose(names, PhraseSplitting(seed=2))
    assert choose(names, PhraseSplitting(test=("p1*",)))["p1"] == "test"
    with pytest.raises(ValueError, match="'q'"):
        choose(names, PhraseSplitting(test=("q",)))
    with pytest.raises(ValueError, match="Nothing is left"):
        choose(names, PhraseSplitting(test=("*",)))


def test_stretches_that_touch_are_one():
    notes = [Note(0, 1, ("a",)), Note(1, 2, ("a", "b")), Note(2, 3, ("c",)), Note(3, 4, ("b",))]
    assert silent_stretches(notes, {"a", "b"}) == [(0, 2), (3, 4)]
    assert silent_stretches(notes, set()) == []


def test_nothing_that_is_left_out_sounds_in_training(data):
    assert data.shared_recordings() == {"train/val": [], "train/test": []}
    whole = data._items_of(data._manifest(), data.keys_of(data._manifest(), "train"))
    assert len(whole) == 2  # both versions of the first performance; the second has the rest
    for item in whole:
        assert item["audio"][: RATE - 200].abs().max() > 0.1
        assert item["audio"][RATE:].abs().max() == 0  # the e4 of the second performance
        assert (item["loudness_db"][101:] == -80).all() and item["loudness_db"][50] > -40


def test_training_gets_crops_and_the_rest_whole_phrases(data):
    torch.manual_seed(0)
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == (4, RATE)
    assert batch["f0_hz"].shape == (4, 101) and batch["harmonic_db"].shape == (4, 101, 8)
    whole = list(data.test_dataloader())
    assert [tuple(one["audio"].shape) for one in whole] == [(1, 2 * RATE)] * 2
    assert whole[0]["noise_db"].shape == (1, 201, 4)


def test_a_crop_is_the_same_stretch_of_sound_and_curves(data):
    items = data._items["test"]
    key = items.keys[0]
    whole, part = items.stretch(key, 0, 200), items.stretch(key, 40, 30)
    assert torch.equal(part["audio"], whole["audio"][40 * 160 : 70 * 160])
    for name in ("f0_hz", "loudness_db", "harmonic_db"):
        assert torch.equal(part[name], whole[name][40:71])
    beyond = items.stretch(key, 190, 30)
    assert beyond["audio"][10 * 160 :].abs().max() == 0 and (beyond["loudness_db"][12:] == -80).all()


def test_crops_as_published_are_one_a_phrase_taken_as_it_comes_without_the_end_frame(data):
    whole = data._items["test"]
    crops = whole.cropped(RATE // 2, Crops(per_phrase=1, end_frame=False, skip_silence=False))
    assert crops.keys == whole.keys and len(whole.cropped(RATE // 2)) == 4 * len(whole)
    assert crops[0]["audio"].shape == (RATE // 2,) and crops[0]["f0_hz"].shape == (50,)
    silent = copy.copy(whole)
    silent.quiet = {key: [(0.0, 1e9)] for key in whole.keys}
    for settings, draws in ((Crops(skip_silence=False), 1), (Crops(), 8)):
        torch.manual_seed(0)
        silent.cropped(RATE // 2, settings)[0]
        after = torch.rand(())
        torch.manual_seed(0)
        torch.randint(151, (draws,))
        assert after == torch.rand(())


def test_measures_pitch_and_level(data):
    item = data._items["val"][0]
    played = slice(30, 90)
    assert item["f0_hz"][played].tolist() == pytest.approx([146.83] * 60, rel=0.025)
    assert item["harmonic_db"][40, 0].item() == pytest.approx(-10.5 - 3 * 0.3 * 8.686, abs=1.5)


def test_a_broken_file_is_listed_and_preparation_is_done_once(data):
    rejected = json.loads((data.data_dir / "rejected.json").read_text())
    assert [entry["source"] for entry in rejected] == ["broken.wav"]
    before = (data.data_dir / "manifest.json").stat().st_mtime_ns
    data.prepare_data()
    assert (data.data_dir / "manifest.json").stat().st_mtime_ns == before
    other = PhraseDataModule(str(data.data_dir), num_harmonics=9, num_bands=4)
    with pytest.raises(ValueError, match="analysis.num_harmonics"):
        other.setup()


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match=r"crop_s=0\.0001"):
        PhraseDataModule("x", crop_s=0.0001)
    with pytest.raises(ValueError, match="per_phrase=0"):
        Crops(per_phrase=0)


def test_a_floor_of_loudness_of_its_own_is_a_setting_of_the_folder():
    usual, published = (
        PhraseDataModule("x", curves=NoteCurves(loudness=FrameLoudness(epsilon=epsilon)))
        for epsilon in (1e-8, 1e-7)
    )
    assert usual.settings()["analysis.loudness"] == "none hann 256"  # as folders prepared before say it
    assert published.settings()["analysis.loudness"] == "none hann 256 1e-07"


def test_a_folder_without_stiffness_is_not_taken_for_one_with_it():
    plain, stiff = (PhraseDataModule("prepared", "raw", stiff=stiff).settings() for stiff in (False, True))
    assert {name for name in plain if plain[name] != stiff[name]} == {"analysis.stiff"}
