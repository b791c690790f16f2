"""Seeds that train side by side are what they are alone."""

import copy
import csv

import pytest
import torch
import yaml
from golden_case import golden_file

from drumblender.controllers import HeardControls, PitchHead
from drumblender.data import HarmonicTonesDataModule
from drumblender.encoders import PitchCNN
from drumblender.losses import MultiScaleSpectralLoss, SpectralTransportLoss
from drumblender.shipped import shipped_dir
from drumblender.synths import HarmonicSynth
from drumblender.tasks import PitchTask
from experiments.pitch.ensemble import main, rows_of_epoch
from experiments.pitch.judged import fields_of
from experiments.pitch.side_by_side import Ensemble, Training
from experiments.pitch.table import main as make_table
from experiments.pitch.table import read_runs


def task_of(seed):
    torch.manual_seed(seed)
    hears = PitchCNN(cached=True, channels=(4, 3, 3, 2, 1), dropout=0.0)
    settings = {"hold_steps": 1, "hold_loss": SpectralTransportLoss()}
    controls = HeardControls(hears, PitchHead())
    return PitchTask(controls, HarmonicSynth(4, 16000), MultiScaleSpectralLoss(), **settings).double()


def test_members_learn_as_they_would_alone(monkeypatch, unchecked):
    clip, generator = 0.05, torch.Generator().manual_seed(0)
    tones = {"audio": torch.randn(6, 2048, generator=generator).double()}
    tones["cqt"] = torch.rand(6, 1, 285, generator=generator).double()
    tasks = [task_of(seed) for seed in (0, 1)]
    alone = copy.deepcopy(tasks)
    settings = {"lr": 1e-2, "weight_decay": 1e-4, "eps": 0.1}  # so that rounding is no direction
    optimizer = torch.optim.Adam(tasks[0].parameters(), **settings)
    ensemble = Ensemble(tasks)
    training = Training(ensemble, tones, optimizer, batch_size=2, clip=clip)
    rows = rows_of_epoch((6, 2), [torch.Generator().manual_seed(seed) for seed in (0, 1)], 2)
    for step, taken in enumerate(rows):
        training.set_rate(1e-2 / (step + 1))
        training.step(taken, holds=step == 0)
    ensemble.give_back()
    monkeypatch.setattr(PitchTask, "log", lambda *args, **kwargs: None)
    for number, task in enumerate(alone):
        solo = torch.optim.Adam(task.parameters(), **settings)
        for step, taken in enumerate(rows):
            task.hold_steps = 1 if step == 0 else 0
            solo.param_groups[0]["lr"] = 1e-2 / (step + 1)
            solo.zero_grad()
            batch = {name: value[taken[number]] for name, value in tones.items()}
            task.training_step(batch, step)["loss"].backward()
            torch.nn.utils.clip_grad_norm_(task.parameters(), clip)
            solo.step()
        start = task_of(number)
        for name, value in task.named_parameters():
            apart, moved = (value - other.get_parameter(name) for other in (tasks[number], start))
            assert apart.norm() <= 1e-4 * moved.norm() + 1e-12, name


def test_it_leaves_checkpoints_curves_and_a_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = {"channels": [4, 3, 3, 2, 1]}
    model = {"controls": {"init_args": {"encoder": {"init_args": small}}}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"model": {"init_args": model}}))
    shipped = [str(shipped_dir("cfg") / name) for name in ("pitch.yaml", "pitch/cpu.yaml")]
    configs = [part for path in (*shipped, "small.yaml") for part in ("-c", path)]
    options = ["--data.size", "40", "--data.batch_size", "4", "--trainer.max_steps", "3"]
    assert main(["out", "--device", "cpu", "--seeds", "2", *configs, *options]) == 0
    for name, count in (("curves", 1), ("test", 1)):
        with (tmp_path / "out" / f"{name}.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == count
    kept = torch.load(tmp_path / "out" / "seed_2.ckpt", weights_only=True)
    assert kept["drumblender"]["config"]["seed_everything"] == 2


def test_tones_that_are_drawn_on_the_way_are_refused():
    data = HarmonicTonesDataModule(size=40, fresh=True)
    with pytest.raises(ValueError, match="made once"):
        fields_of(data.train_dataloader(), torch.device("cpu"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_steps=-1"], "has to know its end"),
        (["--optimizer=SGD", "--optimizer.lr=0.1"], "trains with Adam, not SGD"),
        (["--trainer.max_steps=1", "--data.batch_size=64"], "28 tones fill no batch"),
    ],
)
def test_what_would_not_end_or_not_train_is_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = [str(shipped_dir("cfg") / name) for name in ("pitch.yaml", "pitch/cpu.yaml")]
    configs = [part for path in shipped for part in ("-c", path)]
    with pytest.raises(ValueError, match=message):
        main(["out", "--device", "cpu", "--seeds", "1", *configs, "--data.size", "40", *options])


def cells(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_published_table_comes_out_of_the_published_tests(tmp_path):
    tests = golden_file("pitch/table_raw_test_metrics.csv")
    assert make_table([str(tests), str(tmp_path), "--by-seed"]) == 0
    assert cells(tmp_path / "runs.csv") == cells(golden_file("pitch/table_runs.csv"))
    assert cells(tmp_path / "table.csv") == cells(golden_file("pitch/table_final.csv"))
    runs = read_runs(tests)  # by their own ids none of the 35 is lost
    assert [run.name for run in runs.values()].count("MSS-LogLin") == 5 and len(runs) == 35


def test_the_table_names_the_column_that_a_file_lacks(tmp_path):
    (tmp_path / "tests.csv").write_text("name,seed,run_id,test/mse\na-1,1,x,0.5\n")
    with pytest.raises(ValueError, match="no column test/log_spectral_distance; it has name, seed"):
        read_runs(tmp_path / "tests.csv")
