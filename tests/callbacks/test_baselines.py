import csv

import pytest
import torch
from callbacks.runs import Scale, sounds, trainer

from drumblender.callbacks import ExportWavs, RunSummary
from drumblender.callbacks.baselines import means, rows_of, told, verdict, worst


class Compared(Scale):
    """Knows one baseline: silence."""

    def compare(self, batch, batch_idx=0):
        target = batch["audio"]
        distance = {"model": 1 - self.gain.detach(), "silence": torch.tensor(1.0)}
        return {kind: {"off": value * target.square().mean(dim=1)} for kind, value in distance.items()}


def test_a_fit_ends_with_the_model_beside_its_baselines(tmp_path):
    summary = RunSummary()
    run = trainer(tmp_path, summary)
    model = Compared()
    run.fit(model, sounds(), sounds())
    with (tmp_path / "baselines.csv").open() as file:
        rows = {row["kind"]: float(row["off"]) for row in csv.DictReader(file)}
    assert rows["model"] < 0.51 * rows["silence"]
    assert any("beats its best baseline" in value for _, value in summary.rows(run))


def test_a_comparison_can_be_left_out(tmp_path):
    run = trainer(tmp_path, RunSummary(compared=0))
    run.fit(Compared(), sounds(), sounds())
    assert not (tmp_path / "baselines.csv").exists()


def test_a_test_names_the_worst_items_by_file(tmp_path):
    export = ExportWavs()
    loader = sounds(names=list("abcde"))
    for number, item in enumerate(loader.dataset):
        item["audio"] = item["audio"] * (number + 1)
        item["file"] = f"kit/hit{number}.flac"
    trainer(tmp_path, export).test(Compared(), loader, verbose=False)
    named = [value for name, value in export.rows() if name == "worst"]
    assert len(named) == 5 and named[0].endswith("kit_hit4.wav")
    assert (tmp_path / "test/baselines_items.csv").is_file()


def test_a_model_that_learned_nothing_is_told_so():
    table = {"model": {"mrstft": 1.464}, "modal stem": {"mrstft": 1.442}}
    assert verdict(table) == "does NOT beat its best baseline (mrstft 1.464; modal stem 1.442)"


@pytest.mark.parametrize("own, percent", [(0.0, "100"), (0.004, "99"), (0.356, "11"), (0.3953, "1.2")])
def test_by_how_much_is_told_in_whole_percent_or_two_digits(own, percent):
    table = {"model": {"wrong": own}, "silence": {"wrong": 0.4}}
    assert verdict(table).startswith(f"beats its best baseline by {percent} % (")


def test_means_and_the_worst_are_of_the_model():
    compared = {"model": {"off": torch.tensor([1.0, 5.0])}, "silence": {"off": torch.tensor([9.0, 9.0])}}
    rows = rows_of(compared, ["a", "b"])
    assert means(rows) == {"model": {"off": 3.0}, "silence": {"off": 9.0}}
    assert worst(rows, 1) == [("b", 5.0)]
    assert [name for name, _ in told(means(rows))] == ["", "model", "silence", "so the model"]


def test_measures_whose_names_do_not_fit_a_column_are_left_to_the_file():
    figures = {"loss": 0.2, "SpectralCentroid_2_64_mean": 3.0}
    table = {"silence": figures | {"loss": 0.5}, "model": figures}
    lines = told(table)
    assert lines[0][1].split() == ["loss"] and [kind for kind, _ in lines[1:3]] == ["model", "silence"]
