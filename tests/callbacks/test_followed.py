"""What a test says of each feature that a model follows: on a synth whose reach is known by hand."""

import csv
import json
import math

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from drumblender.callbacks import ExportWavs
from drumblender.callbacks.followed import follow_told
from drumblender.controllers import LinearMapping, MappedControls
from drumblender.dsp.units import Range
from drumblender.features import RMS, CascadingFrameExtractor, SpectralCentroid
from drumblender.synths.base import Synth
from drumblender.tasks import RemapTask
from drumblender.types import FollowsFeatures

RATE = 8000
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class Tone(Synth):
    """A sine of 20 dB less to 20 dB more than its middle, from 500 to 2000 Hz."""

    def __init__(self):
        super().__init__()
        self.control_sizes, self.control_frames = {"level": 1, "pitch": 1}, {"level": 1, "pitch": 1}
        self.ranges = {"level": Range(-40, 0), "pitch": Range(500, 2000)}
        self.units = {"level": "db", "pitch": "hz"}

    def forward(self, controls, num_samples, source=None):
        values = self.to_units(controls)
        time_s = torch.arange(num_samples) / RATE
        tone = torch.sin(2 * torch.pi * values["pitch_hz"][:, 0] * time_s)
        return 10 ** (values["level_db"][:, 0] / 20) * tone


def tone_task(folder, damping=1.0):
    preset = {"preset": {"level": -20.0, "pitch": 1250.0}, "damping": {"level": damping, "pitch": damping}}
    (folder / "tone.json").write_text(json.dumps(preset))
    parts = [RMS(db=True), SpectralCentroid(RATE, scaling="none")]
    features = CascadingFrameExtractor(parts, [1], frame_size=2048, hop_length=2048)
    torch.manual_seed(0)
    mapper = LinearMapping(1, 2, init_std=0.3)
    return RemapTask(MappedControls(mapper, str(folder / "tone.json")), Tone(), features, RATE)


def run_test(task, folder, wanted, **settings):
    rows = [
        {
            "onset": torch.full((1,), i / len(wanted)),
            "difference": torch.tensor(each),
            "weight": torch.ones(2),
        }
        for i, each in enumerate(wanted)
    ]
    export = ExportWavs(str(folder / "test"), **settings)
    trainer = L.Trainer(accelerator="cpu", callbacks=[export], default_root_dir=folder, **QUIET)
    (logged,) = trainer.test(task, DataLoader(rows, batch_size=3), verbose=False)
    return export, logged


def table(folder):
    with (folder / "test" / "features.csv").open(newline="") as file:
        return {row["feature"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("damping, part", [(1.0, 1.0), (0.25, 0.5)])
def test_reach_is_what_the_synth_can_do_within_its_damping(tmp_path, damping, part):
    low, high = tone_task(tmp_path, damping).reach(draws=16)
    assert high[0] == pytest.approx(20 * part, abs=0.2) and low[0] == pytest.approx(-20 * part, abs=0.2)
    assert high[1] == pytest.approx(750 * part, rel=0.02)
    assert low[1] == pytest.approx(-750 * part, rel=0.02)


def test_a_search_for_each_hit_finds_what_can_be_had_and_no_more(tmp_path):
    task = tone_task(tmp_path)
    wanted = torch.tensor([[6.0, 200.0], [-8.0, -300.0], [60.0, 100.0]])
    before = torch.random.get_rng_state()
    with torch.inference_mode():  # as in a test
        found = task.direct({"difference": wanted})
    assert (found[:2] - wanted[:2]).abs()[:, 0].max() < 0.5 and (found[:2] - wanted[:2]).abs()[
        :, 1
    ].max() < 15
    assert 12 < found[2, 0] < 20.2  # on its way to 20 dB, the end of the range
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_table_says_how_well_each_feature_follows_and_which_is_out_of_reach(tmp_path):
    task = tone_task(tmp_path)
    assert isinstance(task, FollowsFeatures)
    wanted = [[-30.0, -200.0], [-25.0, -100.0], [5.0, 0.0], [30.0, 100.0], [40.0, 300.0]]
    export, logged = run_test(task, tmp_path, wanted)
    rows = table(tmp_path)
    level, centroid = rows["RMS_0_1_mean"], rows["SpectralCentroid_0_1_mean"]
    assert level["hits"] == "5" and level["beyond"] == "4" and level["verdict"] == "out of reach"
    assert centroid["beyond"] == "0" and centroid["verdict"] == "within reach"
    for label, row in rows.items():
        assert float(row["rho"]) == pytest.approx(logged[f"test/rho_{label}"], abs=1e-5)
        assert float(row["slope"]) == pytest.approx(logged[f"test/slope_{label}"], rel=1e-4)
        assert float(row["error"]) == pytest.approx(logged[f"test/{label}"], rel=1e-4)
        assert float(row["bound_error"]) < float(row["preset_error"])
    assert float(level["preset_error"]) == pytest.approx(26)
    assert float(centroid["bound_error"]) < 20
    assert float(centroid["preset_hz"]) == pytest.approx(1250, rel=0.02)
    assert float(centroid["wanted_high_hz"]) - float(centroid["preset_hz"]) == pytest.approx(300, abs=0.5)
    assert level["preset_hz"] == ""  # a level is no frequency
    shown = export.rows()
    assert ("", "  out of reach: 4 of 5 hits want more than its reach") in shown
    assert sum(name == "in Hz" for name, _ in shown) == 1
    assert (tmp_path / "test" / "features.png").stat().st_size > 5000


def test_a_feature_that_only_gives_way_to_another_is_told_apart(tmp_path):
    class Coupled(Tone):
        """Louder is higher: the pitch has no control of its own."""

        def forward(self, controls, num_samples, source=None):
            return super().forward(controls | {"pitch": controls["level"]}, num_samples)

    task = tone_task(tmp_path)
    coupled = RemapTask(
        MappedControls(LinearMapping(1, 2), str(tmp_path / "tone.json")), Coupled(), task.features, RATE
    )
    run_test(coupled, tmp_path, [[10.0, -600.0], [-10.0, 600.0], [8.0, -500.0], [-8.0, 500.0]])
    verdicts = [row["verdict"] for row in table(tmp_path).values()]
    assert "in reach alone, not with the others" in verdicts and "out of reach" not in verdicts


def test_without_baselines_nothing_is_searched(tmp_path):
    run_test(tone_task(tmp_path), tmp_path, [[1.0, 1.0], [2.0, 2.0]], baselines=False)
    assert not (tmp_path / "test" / "features.csv").exists()


@pytest.mark.parametrize("scaling", ["none", "semitone", "kazazis"])
def test_a_centroid_goes_back_to_hz(scaling):
    audio = torch.randn(4, 2048, generator=torch.Generator().manual_seed(1))
    plain, scaled = SpectralCentroid(RATE, scaling="none"), SpectralCentroid(RATE, scaling=scaling)
    assert torch.allclose(scaled.to_hz(scaled(audio)), plain(audio), rtol=1e-3)


def test_no_frequency_is_not_a_number():
    assert math.isnan(SpectralCentroid(RATE, scaling="kazazis").to_hz(torch.tensor(22.0)))


def test_small_and_large_numbers_of_the_table_keep_apart():
    errors = {"rho": -1.0, "slope": -1.23, "error": 0.0612, "preset_error": 0.0254, "bound_error": 0.000511}
    spans = {"wanted_low": -0.00814, "wanted_high": 0.0447, "reach_low": -0.00123, "reach_high": 1230.0}
    (_, head), (_, line) = follow_told([{"feature": "a", **errors, **spans}])
    assert len(line) == len(head)
    assert " ".join(line.split()) == (
        "-1.00 -1.23 0.0612 0.0254 0.000511 -0.00814 to +0.0447 -0.00123 to +1.23e+03"
    )
