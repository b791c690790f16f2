"""The tables of what was left out of training, from the items of a test."""

import csv

import pytest
import torch

from experiments import unseen
from experiments.drums.unseen import class_of
from experiments.strings.unseen import envelope_db, share_better

ITEMS = (
    ("a_kick_1", "model", 0.5),
    ("a_snare_1", "model", 1.0),
    ("a_kick_1", "mean controls", 1.0),
    ("a_snare_1", "mean controls", 1.0),
    ("a_snare_2", "model", 0.1),  # alone in its batch: it has no mean of others
)


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("name", "kind", "mrstft"), *ITEMS])
    return path


def test_figures_are_means_over_all_and_over_groups(items):
    found = unseen.figures_of(items, class_of)
    assert found["model"]["all"]["mrstft"] == pytest.approx(1.6 / 3)
    assert found["model"]["snare"]["mrstft"] == pytest.approx(0.55)


def test_the_best_is_the_first_row_of_the_table(items):
    table = unseen.to_markdown(unseen.figures_of(items, class_of), ("all", "kick", "tom"), ["mrstft"], [])
    assert table.splitlines()[0] == "| | all | kick |"  # there was no tom
    assert table.splitlines()[2] == "| model | 0.533 | 0.5 |"


def test_only_items_that_have_the_baseline_are_compared_with_it(items):
    assert share_better(items, "mean controls") == 0.5


def test_an_item_that_names_no_class_is_refused():
    with pytest.raises(ValueError, match="cowbell"):
        class_of("acoustic_cowbell_1")


def test_what_only_rings_on_is_no_distance_of_envelopes():
    target = torch.nn.functional.pad(torch.ones(1, 3200), (0, 3200))
    assert envelope_db(target + 0.01, target) < 0.1
