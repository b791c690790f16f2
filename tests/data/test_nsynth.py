import json
import logging
import math
import tarfile

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from drumblender.data import NSynthDataModule
from drumblender.data.nsynth_raw import Archives, SplitNames
from drumblender.data.prepare.storage import StorageError
from drumblender.data.splits import Splitting

GUITAR = {"instrument_family_str": "guitar", "instrument_source_str": "acoustic", "qualities": [0] * 10}


def write_note(folder, name, *, samples=64000, rate=16000, channels=1, f0_hz=220.0, level=8000):
    sound = level * np.sin(2 * np.pi * f0_hz * np.arange(samples) / rate) * np.exp(-np.arange(samples) / rate)
    sound = np.repeat(sound[:, None], channels, axis=1) if channels > 1 else sound
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    wavfile.write(folder / "audio" / f"{name}.wav", rate, sound.astype(np.int16))


@pytest.fixture
def nsynth(tmp_path):
    """Twelve notes in one folder of NSynth's form."""
    notes = {}
    for number in range(12):
        name = f"guitar_acoustic_000-{50 + number:03}-{25 + number:03}"
        notes[name] = GUITAR | {"pitch": 50 + number, "velocity": 25 + number}
        write_note(tmp_path / "raw", name, level=1000 * (number + 1))
    (tmp_path / "raw" / "examples.json").write_text(json.dumps(notes))
    return tmp_path


def change(root, function):
    path = root / "raw" / "examples.json"
    notes = json.loads(path.read_text())
    function(notes)
    path.write_text(json.dumps(notes))


def module(root, **settings):
    return NSynthDataModule(str(root / "prepared"), str(root / "raw"), **{"batch_size": 2} | settings)


def test_a_folder_of_its_format_is_prepared_split_and_read(nsynth):
    data = module(nsynth)
    report = data.preprocess(jobs=1)
    assert (report.kept, report.rejected) == (12, 0)
    data.setup()
    loaders = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    names = [name for loader in loaders for batch in loader for name in batch["name"]]
    assert len(names) == len(set(names)) == 12
    batch = next(iter(data.test_dataloader()))
    assert batch["audio"].shape[1] == 64000
    assert batch["f0_hz"].shape == batch["loudness_db"].shape == (len(batch["name"]), 250)
    midi = int(batch["name"][0].split("-")[1])
    assert batch["f0_hz"][0, 0].item() == pytest.approx(440 * 2 ** ((midi - 69) / 12), rel=1e-6)


def test_statistics_are_those_of_the_frames_that_train(nsynth):
    data = module(nsynth)
    data.preprocess(jobs=1)
    data.setup()
    frames = torch.cat([batch["loudness_db"].flatten() for batch in data.train_dataloader()]).double()
    mean_db, std_db = data.loudness_statistics()
    assert mean_db == pytest.approx(frames.mean().item(), abs=1e-4)
    assert std_db == pytest.approx(frames.std().item(), abs=1e-4)


def test_published_statistics_normalise_every_split_by_itself(nsynth):
    data = module(nsynth, statistics="split", split=Splitting(holdout=0.2))
    data.preprocess(jobs=1)
    data.setup()
    assert data.loudness_statistics() == (0, 1)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        frames = torch.cat([batch["loudness_db"].flatten() for batch in loader])
        assert frames.mean().abs() < 1e-4 and frames.std().item() == pytest.approx(1, abs=1e-4)


def test_named_splits_are_kept(nsynth):
    names = [path.stem for path in sorted((nsynth / "raw" / "audio").iterdir())]
    notes = json.loads((nsynth / "raw" / "examples.json").read_text())
    for split, chosen in {"train": names[:6], "valid": names[6:9], "test": names[9:]}.items():
        folder = nsynth / "raw" / f"nsynth-{split}"
        for name in chosen:
            write_note(folder, name)
        (folder / "examples.json").write_text(json.dumps({name: notes[name] for name in chosen}))
    (nsynth / "raw" / "examples.json").unlink()
    data = module(nsynth)
    data.preprocess(jobs=1)
    data.setup()
    assert sorted(data._items["val"].keys) == names[6:9]
    published = module(nsynth, names=SplitNames(val="test"))
    published.setup()
    assert sorted(published._items["val"].keys) == names[9:]
    with pytest.raises(ValueError, match="no split 'dev' to use for val, only test, train, valid"):
        module(nsynth, names=SplitNames(val="dev")).setup()
    module(nsynth, names=SplitNames(train="dev", val="dev")).setup("test")  # which needs no other
    module(nsynth, names=SplitNames(test="dev")).setup("fit")


def test_what_does_not_belong_is_left_out_and_counted(nsynth, caplog):
    def spoil(notes):
        first, second, third, fourth = list(notes)[:4]
        notes[first]["pitch"] = 39
        notes[second]["instrument_family_str"] = "organ"
        notes[third]["instrument_source_str"] = "synthetic"
        notes[fourth]["qualities"] = [0] * 8 + [1, 0]

    change(nsynth, spoil)
    with caplog.at_level(logging.INFO, "drumblender"):
        assert module(nsynth).preprocess(jobs=1).kept == 8
    assert "1 outside of MIDI 40 to 88" in caplog.text and "1 of other families" in caplog.text
    assert "1 from other sources" in caplog.text and "1 with reverb" in caplog.text


def test_missing_audio_is_listed_and_the_rest_is_kept(nsynth):
    missing = next((nsynth / "raw" / "audio").iterdir())
    missing.unlink()
    assert module(nsynth).preprocess(jobs=1).rejected == 1
    (listed,) = json.loads((nsynth / "prepared" / "rejected.json").read_text())
    assert listed["source"] == f"audio/{missing.name}" and "is missing" in listed["reason"]


def test_other_rates_and_stereo_are_made_alike_and_said_once(nsynth, caplog):
    names = sorted(path.stem for path in (nsynth / "raw" / "audio").iterdir())
    write_note(nsynth / "raw", names[0], rate=44100, samples=100000)
    write_note(nsynth / "raw", names[1], channels=2)
    with caplog.at_level(logging.WARNING, "drumblender"):
        data = module(nsynth)
        data.preprocess(jobs=1)
    assert len(caplog.records) == 1
    assert f"2 notes, such as {names[0]} (44100 Hz, 1 channels, 100000 samples)" in caplog.text
    data.setup()
    assert all(batch["audio"].shape[1] == 64000 for batch in data.train_dataloader())


def test_a_folder_of_another_form_is_refused(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no NSynth folder.*examples.json"):
        module(tmp_path).preprocess(jobs=1)
    (tmp_path / "raw" / "examples.json").write_text('[{"pitch": 60}]')
    with pytest.raises(ValueError, match=r"no examples.json: an object of notes"):
        module(tmp_path).preprocess(jobs=1)


def test_notes_of_which_too_little_is_said_are_rejected_and_the_others_kept(nsynth):
    names = [f"guitar_acoustic_000-{50 + number:03}-{25 + number:03}" for number in range(4)]

    def damage(notes):
        del notes[names[0]]["pitch"]
        notes[names[1]]["qualities"] = [0, 0]
        notes[names[2]] = 3
        notes[names[3]]["instrument_str"] = 7
        notes["../../leak"] = GUITAR | {"pitch": 60}

    change(nsynth, damage)
    report = module(nsynth).preprocess(jobs=1)
    assert (report.kept, report.rejected) == (8, 5)
    reasons = {
        one["source"]: one["reason"] for one in json.loads((nsynth / "prepared/rejected.json").read_text())
    }
    assert reasons == {
        names[0]: "examples.json needs its pitch, a MIDI number; it has None",
        names[1]: "examples.json needs its qualities, a list of ten; it has 2",
        names[2]: "examples.json has no object for it",
        names[3]: "examples.json needs its instrument_str, a text",
        "../../leak": "its name leads out of its folder",
    }
    assert module(nsynth).preprocess(jobs=1).kept == 8  # they are tried again, with the same end


def test_sounds_never_seen_are_tracked(nsynth):
    time_s = torch.arange(16000) / 16000
    sound = sum(torch.sin(2 * math.pi * 220 * k * time_s) / k for k in range(1, 6))
    fields = module(nsynth).analyse(sound[None])
    assert fields["f0_hz"].shape == fields["loudness_db"].shape == (1, 62)
    assert fields["f0_hz"][0, 30].item() == pytest.approx(220, rel=0.01)


def test_archives_are_fetched_unpacked_and_not_fetched_again(nsynth, tmp_path):
    server = tmp_path / "server"
    server.mkdir()
    (nsynth / "raw").rename(nsynth / "nsynth-test")
    with tarfile.open(server / "nsynth-test.jsonwav.tar.gz", "w:gz") as archive:
        archive.add(nsynth / "nsynth-test", "nsynth-test")
    names, archives = SplitNames("test", "test", "test"), Archives(str(server))
    assert module(nsynth, names=names, archives=archives).preprocess(jobs=1).kept == 12
    assert sorted(path.name for path in (nsynth / "raw").iterdir()) == ["nsynth-test"]
    (server / "nsynth-test.jsonwav.tar.gz").unlink()
    archives.fetch(nsynth / "raw", ["test"])
    with pytest.raises(StorageError, match="notes in its format: --data.root DIR"):
        archives.fetch(nsynth / "raw", ["train"])


def test_a_sound_never_seen_is_normalised_as_its_split_was(nsynth):
    fading = torch.sin(0.1 * torch.arange(16000)) * torch.linspace(1, 0.01, 16000)
    level, normal = (
        module(nsynth, statistics=kind).analyse(fading[None])["loudness_db"] for kind in ("train", "split")
    )
    assert normal.mean().abs() < 1e-4 and normal.std() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(normal, (level - level.mean()) / level.std())
    steady = module(nsynth, statistics="split").analyse(torch.sin(0.1 * torch.arange(16000))[None])
    assert steady["loudness_db"][:, 1:-1].abs().max() < 1  # rounding is not brought up to a deviation of 1


@pytest.mark.parametrize("statistics, expected", [("train", -20 * math.log10(math.e) * 0.5), ("split", 1.0)])
def test_folders_that_the_original_prepared_are_read(tmp_path, statistics, expected):
    for split in ("train", "valid", "test"):
        (tmp_path / split / "meta").mkdir(parents=True)
        (tmp_path / f"{split}_stats.json").write_text('{"mean": -2.0, "std": 1.0}')
        for number in range(3):
            whole_batch = torch.full((8, 64000), 0.1)
            note = {
                "audio": whole_batch[number],
                "pitch": torch.full((250,), 220.0),
                "loudness": torch.ones(249),
            }
            torch.save(note, tmp_path / split / "meta" / f"note-{number}.pt")
    data = NSynthDataModule(str(tmp_path), statistics=statistics, batch_size=3)
    data.prepare_data()
    data.setup()
    batch = next(iter(data.val_dataloader()))
    assert batch["name"] == ["note-0", "note-1", "note-2"]
    assert batch["audio"].shape == (3, 64000)
    assert batch["f0_hz"].shape == batch["loudness_db"].shape == (3, 249)
    assert batch["loudness_db"][0, 0].item() == pytest.approx(expected, rel=1e-6)  # -2 + 1 nepers of power
    mean_db = data.loudness_statistics()[0]
    assert mean_db == pytest.approx(-20 / math.log(10) if statistics == "train" else 0)
    with pytest.raises(FileNotFoundError, match="no notes"):
        NSynthDataModule(str(tmp_path), names=SplitNames(val="dev")).setup("validate")


def test_golden_preparation(golden, tmp_path):
    numbers = golden("strings", "nsynth_preprocess")
    examples = numbers.config["examples"]
    folder = tmp_path / "raw" / "nsynth-test"
    (folder / "audio").mkdir(parents=True)
    for name, stored in zip(examples, numbers["in_audio_int16"].numpy(), strict=True):
        wavfile.write(folder / "audio" / f"{name}.wav", 16000, np.pad(stored, (0, 64000 - len(stored))))
    (folder / "examples.json").write_text(json.dumps(examples))
    settings = {"names": SplitNames("test", "test", "test"), "channel": "mean", "dc": "keep"}
    data = module(tmp_path, statistics="split", batch_size=8, **settings)
    data.preprocess(jobs=1)
    data.setup()
    batch = next(iter(data.val_dataloader()))
    assert batch["name"] == numbers.config["kept"]
    numbers.check("out_pitch", batch["f0_hz"])
    numbers.check("out_loudness", batch["loudness_db"])
    one_scale = module(tmp_path, **settings).loudness_statistics()
    nepers = torch.tensor(one_scale, dtype=torch.float64) * math.log(10) / 10
    numbers.check("out_stats", nepers)
