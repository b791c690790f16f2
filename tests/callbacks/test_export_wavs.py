import csv

import numpy as np
import pytest
import torch
from callbacks.runs import RATE, Scale, sounds, trainer
from scipy.io import wavfile

from drumblender.callbacks import ExportWavs
from drumblender.callbacks.controls import read_controls
from drumblender.callbacks.export_wavs import safe_name
from drumblender.controllers import FreeControls
from drumblender.dsp.units import Range
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.metrics import LogSpectralDistance, LossMetric
from drumblender.synths import DampedModalSynth
from drumblender.tasks.voices import Voice

NAMES = ["kicks/One.wav", "kicks/one.wav", "../snare 2", "tom", "tom"]
FILES = {"kicks_One.wav", "kicks_one-2.wav", "snare_2.wav", "tom.wav", "tom-2.wav"}


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_test_leaves_equal_names_in_two_folders_and_nothing_else(tmp_path):
    trainer(tmp_path, ExportWavs()).test(Scale(), sounds(names=NAMES), verbose=False)
    for folder in ("target", "pred"):
        assert {path.name for path in (tmp_path / "test" / folder).iterdir()} == FILES


def test_sounds_are_the_targets_and_the_predictions_without_rounding(tmp_path):
    trainer(tmp_path, ExportWavs()).predict(Scale(), sounds(count=3))
    target, prediction = (
        wavfile.read(tmp_path / "predict" / folder / "00001-00.wav") for folder in ("target", "pred")
    )
    third = next(iter(sounds(count=3).dataset[2:3]))["audio"]
    assert target[0] == prediction[0] == RATE
    assert torch.equal(torch.from_numpy(target[1]), third)
    assert torch.equal(torch.from_numpy(prediction[1]), third / 2)


def test_the_table_holds_each_item_and_the_mean_of_all(tmp_path):
    loader = sounds(names=NAMES)
    trainer(tmp_path, ExportWavs(str(tmp_path / "out"))).test(Scale(), loader, verbose=False)
    rows, (mean,) = table(tmp_path / "out/metrics.csv"), table(tmp_path / "out/metrics_mean.csv")
    assert {row["name"] + ".wav" for row in rows} == FILES
    audio = torch.stack([item["audio"] for item in loader.dataset])
    expected = LogSpectralDistance(256, 64).per_item(audio / 2, audio)
    assert [float(row["lsd"]) for row in rows] == pytest.approx(expected.tolist())
    assert float(mean["lsd"]) == pytest.approx(expected.mean().item()) and mean["items"] == "5"


class Logged(Scale):
    """Measures over the batch, as the published tables do, and logs it; one number is of all items alone."""

    told_of_all = ("together",)

    def __init__(self):
        super().__init__()
        loss = MultiResolutionSTFTLoss([256], [64], [256], w_log_mag=0)
        self.metrics = torch.nn.ModuleDict({"mss_sc": LossMetric(loss), "lsd": LogSpectralDistance(256, 64)})

    def test_step(self, batch, batch_idx):
        step = self.training_step(batch, batch_idx) | {"prediction": batch["audio"].clamp(-0.03, 0.03)}
        for name, metric in self.metrics.items():
            metric.update(step["prediction"], step["target"])
            self.log(f"test/{name}", metric)
        self.log("test/together", 0.25)
        return step


def test_the_mean_is_the_number_that_the_test_logs(tmp_path):
    loader = sounds()
    for index, item in enumerate(loader.dataset):
        item["audio"] *= 10.0**-index
    run = trainer(tmp_path, ExportWavs())
    run.test(Logged(), loader, verbose=False)
    rows, (mean,) = table(tmp_path / "test/metrics.csv"), table(tmp_path / "test/metrics_mean.csv")
    assert float(mean["mss_sc"]) != pytest.approx(sum(float(row["mss_sc"]) for row in rows) / 5, rel=0.01)
    assert float(mean["mss_sc"]) == run.callback_metrics["test/mss_sc"].item()
    assert float(mean["lsd"]) == pytest.approx(sum(float(row["lsd"]) for row in rows) / 5)
    assert float(mean["together"]) == 0.25 and "together" not in rows[0]


def test_the_metrics_are_of_all_items_even_if_few_are_written(tmp_path):
    trainer(tmp_path, ExportWavs(max_items=2)).test(Scale(), sounds(), verbose=False)
    assert len(list((tmp_path / "test/pred").iterdir())) == 2
    assert len(table(tmp_path / "test/metrics.csv")) == 5


def test_sounds_of_another_run_are_not_mixed_in(tmp_path):
    trainer(tmp_path, ExportWavs()).test(Scale(), sounds(), verbose=False)
    with pytest.raises(FileExistsError, match="another run"):
        trainer(tmp_path, ExportWavs()).test(Scale(), sounds(), verbose=False)


@pytest.mark.parametrize(
    "name, safe",
    [
        ("a b/c:d.WAV", "a_b_c_d"),
        ("../../etc/passwd", "etc_passwd"),
        ("...", "item"),
        ("", "item"),
        ("trommel-größe.flac", "trommel-größe"),
        ("v1.2", "v1.2"),
        ("C:\\x\\y.aif", "C_x_y"),
        ("n" * 300, "n" * 120),
    ],
)
def test_names_become_file_names(name, safe):
    assert safe_name(name) == safe


def test_two_processes_write_all_items_and_one_table(tmp_path):
    settings = {"strategy": "ddp_fork", "devices": 2}
    run = trainer(tmp_path, ExportWavs(), **settings)
    run.test(Scale(), sounds(count=4), verbose=False)
    names = {path.stem for path in (tmp_path / "test/pred").iterdir()}
    assert len(names) == 4 and {name[-3:] for name in names} == {"-r0", "-r1"}
    assert {row["name"] for row in table(tmp_path / "test/metrics.csv")} == names


def test_a_limit_starts_at_one():
    with pytest.raises(ValueError, match="max_items"):
        ExportWavs(max_items=0)


class Played(Scale):
    """Says what its one voice is played with: two modes that fall, one amplitude that is held."""

    def __init__(self):
        super().__init__()
        freq_hz, t60_s = Range(50, 800, log=True), Range(0.1, 1)
        self.voices = {
            "modal": Voice(DampedModalSynth(2, RATE, freq_hz=freq_hz, t60_s=t60_s), FreeControls())
        }

    def voice_controls(self, batch):
        rows = len(batch["audio"])
        falling = torch.tensor([[1.0, 0.5], [0.5, 0.0]]).expand(rows, 2, 2)
        return {"modal": {"freq": falling, "t60": torch.full((1, 1, 2), 0.5), "amp": falling}}


def test_a_test_leaves_what_each_item_was_played_with_in_units(tmp_path):
    export = ExportWavs(controls=True)
    trainer(tmp_path, export).test(Played(), sounds(names=NAMES), verbose=False)
    folder = tmp_path / "test" / "controls"
    assert {path.with_suffix(".wav").name for path in folder.iterdir()} == FILES
    found = read_controls(folder / "tom-2.npz")
    assert list(found) == ["modal.freq_hz", "modal.t60_s", "modal.amp"]
    assert found["modal.freq_hz"].tolist() == [[pytest.approx(800), 200], [200, pytest.approx(50)]]
    assert found["modal.t60_s"].tolist() == [[pytest.approx(0.55)] * 2]


@pytest.mark.parametrize("content", [b"odd", b"PK\x03\x04 cut off"])
def test_a_damaged_file_of_controls_is_one_line(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="no file of controls"):
        read_controls(tmp_path / "a.npz")


def test_a_file_of_controls_that_holds_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", odd=np.array([{"a": 1}]))
    with pytest.raises(ValueError, match="no file of controls"):
        read_controls(tmp_path / "a.npz")


def test_controls_of_a_task_without_voices_are_not_asked_for(tmp_path):
    trainer(tmp_path, ExportWavs(controls=True)).test(Scale(), sounds(), verbose=False)
    assert not (tmp_path / "test" / "controls").exists()
