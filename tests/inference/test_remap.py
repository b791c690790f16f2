"""A trained mapping played from recordings, live, and in other programs."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from references import reference

from drumblender.checkpoints import build, load_checkpoint
from drumblender.cli import run
from drumblender.inference.export import export, exportable
from drumblender.inference.remap import RemapStream, remap, remap_audio
from drumblender.open_sound import BadAudioError
from drumblender.originals.imported import Imported, save_imported

RATE = 8000


@pytest.fixture
def checkpoint(tmp_path):
    """A small trained mapping, as `drumblender fit` would leave it."""
    frames = {"num_frames": [1], "frame_size": 256, "hop_length": 256}
    parts = [
        {"class_path": "drumblender.features.RMS", "init_args": {"db": True}},
        {"class_path": "drumblender.features.SpectralCentroid", "init_args": {"sample_rate": RATE}},
        {"class_path": "drumblender.features.SpectralFlatness"},
    ]
    features = {
        "class_path": "drumblender.features.CascadingFrameExtractor",
        "init_args": {"extractors": parts, **frames},
    }
    mapper = {
        "class_path": "drumblender.controllers.LinearMapping",
        "init_args": {"in_size": 3, "out_size": 14, "clamp": True, "init_std": 0.3},
    }
    config = {
        "model": {
            "class_path": "drumblender.tasks.RemapTask",
            "init_args": {
                "controls": {
                    "class_path": "drumblender.controllers.MappedControls",
                    "init_args": {"mapper": mapper},
                },
                "synth": {
                    "class_path": "drumblender.synths.Snare808",
                    "init_args": {"sample_rate": RATE, "noise_samples": 2000},
                },
                "features": features,
                "sample_rate": RATE,
            },
        },
        "data": {
            "class_path": "drumblender.data.RemapDataModule",
            "init_args": {
                "path": "hits",
                "features": features,
                "onset_features": features,
                "sample_rate": RATE,
                "onsets": {"wait_samples": 1000},
            },
        },
    }
    torch.manual_seed(0)
    task, _ = build(config)
    task.mapping.onset_scale.learn(
        torch.tensor([-60.0, 80.0, -60.0]), torch.tensor([60.0, 40.0, 60.0]), torch.full((3,), 0.4)
    )
    save_imported(Imported(config, task.state_dict(), RATE), tmp_path / "mapping.ckpt")
    return tmp_path / "mapping.ckpt"


def phrase(starts=(500, 4000, 9000), levels=(0.9, 0.1, 0.5), size=14000):
    rng = np.random.default_rng(1)
    audio = np.zeros(size, dtype=np.float32)
    for start, level in zip(starts, levels, strict=True):
        audio[start:] += (level * rng.uniform(-1, 1, size - start) * 0.995 ** np.arange(size - start)).astype(
            "f4"
        )
    return audio


def energy_starts(sound):
    """Where the sound begins again after silence."""
    loud = np.flatnonzero(np.abs(sound) > 0)
    return [int(loud[0]), *(int(loud[i + 1]) for i in np.flatnonzero(np.diff(loud) > 50))]


def test_a_phrase_is_answered_in_time(checkpoint, tmp_path):
    soundfile.write(tmp_path / "in.wav", phrase(), RATE)
    assert remap(checkpoint, tmp_path / "in.wav", tmp_path / "out.wav", hit_s=0.2) == 3
    sound, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == RATE and len(sound) == 14000
    starts = energy_starts(sound)
    assert len(starts) == 3
    assert all(abs(start - onset) < 40 for start, onset in zip(starts, (500, 4000, 9000), strict=True))
    hits = [sound[start : start + 1600] for start in starts]
    assert not np.allclose(hits[0], hits[1])


def test_the_command_writes_what_the_function_does(checkpoint, tmp_path, capsys):
    soundfile.write(tmp_path / "in.wav", phrase(), 2 * RATE)
    args = ["remap", str(checkpoint), str(tmp_path / "in.wav")]
    assert run([*args, str(tmp_path / "out.wav"), "--scaling", "running"]) == 0
    assert len(soundfile.read(tmp_path / "out.wav")[0]) >= 7000
    assert run([*args, "out.flac"]) == 1
    assert "should be out.wav" in capsys.readouterr().err


def test_a_folder_is_remapped_and_bad_files_are_left_out(checkpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hits" / "in").mkdir(parents=True)
    soundfile.write("hits/in/a.wav", phrase(), RATE)
    soundfile.write("hits/b.flac", phrase((700, 3000, 8000)), RATE)
    soundfile.write("hits/silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "hits" / "bad.wav").write_text("no sound")
    assert run(["remap", "mapping.ckpt", "hits", "out", "--hit", "0.2"]) == 0
    told = caplog.text
    assert {path.relative_to("out").as_posix() for path in Path("out").rglob("*.wav")} == {
        "in/a.wav",
        "b.wav",
    }
    assert "Left out: hits/silent.wav: has no onset" in told and "bad.wav: is no audio file" in told
    assert "Wrote 2 of 4 recordings to out; 2 left out." in told
    assert run(["remap", "mapping.ckpt", "hits/in/a.wav", "out", "--hit", "0.2"]) == 0  # into a folder
    assert Path("out/a.wav").read_bytes() == Path("out/in/a.wav").read_bytes()
    Path("hits/b.flac").unlink()
    Path("hits/in/a.wav").unlink()
    assert run(["remap", "mapping.ckpt", "hits", "none"]) == 1
    assert "Wrote 0 of 2" in caplog.text
    assert run(["remap", "mapping.ckpt", "hits", "hits"]) == 1


@pytest.mark.parametrize("block", [32, 500, 14000])
@pytest.mark.parametrize("scaling", ["training", "running"])
def test_a_stream_answers_as_the_recording_does_a_moment_later(checkpoint, block, scaling):
    loaded = load_checkpoint(checkpoint)
    audio = phrase()
    stream = RemapStream(loaded.task, loaded.data, hit_s=0.2, scaling=scaling)
    live = np.concatenate([stream.process(audio[i : i + block]) for i in range(0, len(audio), block)])
    offline = remap_audio(
        loaded.task, loaded.data, torch.from_numpy(audio), hit_s=0.2, scaling=scaling
    ).numpy()
    assert live.shape == audio.shape
    assert np.allclose(live[256:], offline[: len(live) - 256], atol=1e-4)


def test_a_hit_can_end_the_one_before_it(checkpoint):
    loaded = load_checkpoint(checkpoint)
    audio = torch.from_numpy(phrase((500, 2000), (0.9, 0.8), 6000))
    free = remap_audio(loaded.task, loaded.data, audio, hit_s=0.25)
    choked = remap_audio(loaded.task, loaded.data, audio, hit_s=0.25, choke=True)
    assert torch.equal(free[:1900], choked[:1900])
    assert not torch.allclose(free[2000:], choked[2000:])


def test_a_recording_without_onset_is_refused_by_name(checkpoint, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    with pytest.raises(BadAudioError, match="silence.wav: has no onset"):
        remap(checkpoint, tmp_path / "silence.wav", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_an_unknown_scale_asks_for_another(checkpoint):
    loaded = load_checkpoint(checkpoint)
    loaded.task.mapping.onset_scale.known.fill_(False)
    with pytest.raises(ValueError, match="'recording' or 'running'"):
        remap_audio(loaded.task, loaded.data, torch.from_numpy(phrase()))
    assert len(remap_audio(loaded.task, loaded.data, torch.from_numpy(phrase()), scaling="recording"))


@pytest.mark.parametrize(
    "switches", [{"center": False}, {"center": True}, {"center": True, "plugin_ranges": True}]
)
@pytest.mark.parametrize("suffix", ["pt", "onnx"])
def test_exported_mappers_give_the_same_numbers(checkpoint, tmp_path, suffix, switches):
    task = load_checkpoint(checkpoint).task
    path = tmp_path / f"mapper.{suffix}"
    export(checkpoint, path, **switches)
    hits = 1 if suffix == "pt" else 3
    onset = torch.rand(hits, 3, generator=torch.Generator().manual_seed(2))
    expected = exportable(task, **switches)(onset)
    if suffix == "pt":
        extra = {"metadata.json": ""}
        rows = torch.jit.load(path, _extra_files=extra)(onset)
        assert json.loads(extra["metadata.json"])["sample_rate"] == RATE
    else:
        onnxruntime = reference("onnxruntime")
        session = onnxruntime.InferenceSession(path)
        rows = torch.from_numpy(session.run(None, {"onset": onset.numpy()})[0])
    assert rows.shape == (hits + 1, 14)
    assert torch.allclose(rows, expected, atol=1e-6)
    assert torch.equal(exportable(task)(onset)[-1], task.mapping.preset[0])


def test_an_export_centres_as_training_did_where_that_is_known(checkpoint, tmp_path, monkeypatch):
    onset = torch.full((1, 3), 0.4)  # what training subtracted
    loaded = load_checkpoint(checkpoint)
    monkeypatch.setattr("drumblender.inference.export.load_played", lambda path, trust: loaded)
    export(checkpoint, tmp_path / "a.pt")
    assert torch.jit.load(tmp_path / "a.pt")(onset)[0].abs().max() < 1e-6
    loaded.task.mapping.onset_scale.known.fill_(False)
    export(checkpoint, tmp_path / "b.pt")
    assert torch.jit.load(tmp_path / "b.pt")(onset)[0].abs().max() > 1e-6


def test_the_plugins_filter_range_moves_both_rows_of_one_column(checkpoint):
    task = load_checkpoint(checkpoint).task
    onset = torch.full((1, 3), 0.3)
    own, plugins = exportable(task)(onset), exportable(task, plugin_ranges=True)(onset)
    factor = (RATE // 2 - 20) / (24000 - 20)
    assert torch.allclose(plugins[:, 8], factor * own[:, 8])
    assert torch.equal(plugins[:, :8], own[:, :8])


def test_centring_subtracts_what_training_did(checkpoint):
    task = load_checkpoint(checkpoint).task
    onset = torch.full((1, 3), 0.4)
    assert torch.allclose(exportable(task, center=True)(onset)[0], torch.zeros(14), atol=1e-6)


def test_what_the_plugin_would_not_load_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="mapper.txt"):
        export(checkpoint, tmp_path / "mapper.txt")
    task = load_checkpoint(checkpoint).task
    task.mapping.mapper.in_size = 4
    with pytest.raises(ValueError, match="this mapper has 4 and 14"):
        exportable(task)
