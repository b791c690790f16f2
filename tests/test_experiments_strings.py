"""The two studies of the strings, on made-up notes."""

import json
import math
from pathlib import Path

import pytest
import torch
from made_up import StringBatches

pytest.importorskip("hydra")
from hydra import compose, initialize_config_dir

import experiments.strings
from drumblender.controllers import HeardControls
from drumblender.encoders import MFCCEncoder, NoteEncoder
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.synths import StringSynth
from drumblender.tasks import StringTask
from experiments.strings import known
from experiments.strings.inference import NEPER_DB, random_batches, render_notes, render_synthetic
from experiments.strings.report import mean_and_deviation, write_summary, write_table
from experiments.strings.search import Note, study, synthetic_notes

CONFIG = str(Path(experiments.strings.__file__).parent / "config")


def config(name, *overrides):
    with initialize_config_dir(CONFIG, version_base="1.3"):
        return compose(name, overrides=list(overrides))


@pytest.fixture
def task():
    torch.manual_seed(0)
    encoder = NoteEncoder(8, MFCCEncoder(rnn_channels=6, z_dims=4))
    synth = StringSynth(internal_rate=16000, onset_s=(0.0, 0.3))
    return StringTask(HeardControls(encoder), synth, MultiResolutionSTFTLoss()).eval()


def test_folders_have_equal_names_and_a_row_for_each_note(task, tmp_path):
    losses, rows = render_notes(task, StringBatches().test_dataloader(), task.loss, tmp_path, 16000)
    names = sorted(path.name for path in (tmp_path / "target").iterdir())
    assert names == ["0001_0.wav", "0001_1.wav", "0002_0.wav", "0002_1.wav"]
    assert names == sorted(path.name for path in (tmp_path / "pred").iterdir())
    assert [row["file"] for row in rows] == names
    assert len(losses) == 2 and rows[0]["name"] == "note-0"


def test_random_strings_are_judged_by_their_coefficients(task, tmp_path):
    errors, rows = render_synthetic(task, StringBatches().test_dataloader(), tmp_path, 16000)
    batch = next(iter(StringBatches().test_dataloader()))
    found = task.coefficients(task.voices["string"].controls(batch))
    expected = sum((found[name] - batch[name]).abs().mean().item() for name in found)
    assert errors[0] == pytest.approx(expected, rel=1e-5)
    assert sum(row["param"] for row in rows[:2]) / 2 == pytest.approx(errors[0], rel=1e-5)


def test_random_strings_are_as_loud_as_published_models_heard_them():
    settings = config("inference", "batch_size=2")
    (level,), (published,) = random_batches(settings, 1), random_batches(settings, 1, NEPER_DB)
    torch.testing.assert_close(published["loudness_db"], level["loudness_db"] * math.log(10) / 10)
    assert torch.equal(published["audio"], level["audio"])


def test_a_search_goes_on_where_it_stopped(tmp_path, monkeypatch):
    settings = config("search", f"output={tmp_path}", "renders=8", "population=3", "parents=2", "synthetic=1")
    sound = 0.1 * torch.randn(1600, generator=torch.Generator().manual_seed(0))
    known = {
        "loop_coefficients": torch.full((1, 16, 3), 0.3),
        "excitation_coefficients": torch.full((1, 25, 5), 0.1),
    }
    notes = [Note("real", "a", sound, 220.0), Note("synth", "b", sound, 220.0, known)]
    summary = study(settings, notes, "hybrid", "burst")
    assert summary["total_renders"] <= 16 and summary["param_mean"] > 0
    folder = tmp_path / "hybrid_burst"
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert (folder / "real" / "pred" / "001.wav").is_file() and (
        folder / "synth" / "target" / "001.wav"
    ).is_file()
    monkeypatch.setattr("experiments.strings.search.fit", lambda *args: pytest.fail("searched again"))
    assert study(settings, notes, "hybrid", "burst") == summary


def test_every_method_hears_the_same_synthetic_notes():
    settings = config("search", "synthetic=2")
    first, second = synthetic_notes(settings), synthetic_notes(settings)
    assert torch.equal(first[1].audio, second[1].audio)
    assert not torch.equal(first[0].audio, first[1].audio)


def test_summaries_and_tables_can_be_read(tmp_path):
    mean, deviation = mean_and_deviation([1.0, 3.0])
    assert (mean, deviation) == (2, 1) and mean_and_deviation([]) == (None, None)
    summary = {"stft_mean": mean, "stft_std": deviation, "param_mean": None, "param_std": None}
    write_summary(tmp_path, summary)
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    assert lines == [",value", "stft_mean,2.0", "stft_std,1.0", "param_mean,", "param_std,"]
    write_table(tmp_path, {"a_b": summary}, {"STFT": "stft", "L1": "param"})
    assert "a_b,2.0000 ± 1.0000," in (tmp_path / "table.csv").read_text()
    assert "a\\_b & 2.0000 $\\pm$ 1.0000 &  \\\\" in (tmp_path / "table.tex").read_text()


def test_a_measured_loop_is_nearer_than_the_mean(tmp_path, monkeypatch):
    monkeypatch.setattr(known, "_MEAN_BATCHES", 2)
    assert known.main(["--count", "4", "--output", str(tmp_path)]) == 0
    table = json.loads((tmp_path / "known.json").read_text())
    for row in table.values():
        assert row["loss"] == pytest.approx(row["loop_coefficients"] + row["excitation_coefficients"])
    loops = {label: row["loop_coefficients"] for label, row in table.items()}
    assert loops["StringLoop"] < 0.5 * loops["own mean"] < 0.5 * loops["mean"]
    assert "| mean |" in (tmp_path / "known.md").read_text()
