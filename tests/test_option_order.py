"""No order of the options loses one of them."""

from itertools import permutations
from pathlib import Path

import pytest

from drumblender.option_order import in_order


@pytest.fixture
def configs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("hits.yaml").write_text("class_path: a.Hits\n")
    Path("other.yaml").write_text("class_path: a.Other\n")
    Path("base.yaml").write_text("data: hits.yaml\n")
    Path("variant.yaml").write_text("data:\n  init_args: {rate: 3}\n")
    Path("whole.yaml").write_text("data: other.yaml\n")


def test_a_variant_changes_the_data_of_the_command_line_where_it_is_of_its_class(configs, caplog):
    data = ["--data", "hits.yaml", "--data.path", "x"]
    assert in_order(["-c", "base.yaml", "-c", "variant.yaml", *data]) == [
        *["-c", "base.yaml", "--data=null", "--data", "hits.yaml"],
        *["-c", "variant.yaml", "--data.path", "x"],
    ]
    assert not caplog.records
    other = ["-c", "base.yaml", "-c", "variant.yaml", "--data=other.yaml"]
    assert in_order(other) == [*other[:4], "--data=null", other[4]]
    assert "other.yaml replaces the data that variant.yaml changes" in caplog.text


def test_data_of_the_command_line_replaces_that_of_any_configuration(configs):
    for first in (["-c", "base.yaml"], ["-c", "base.yaml", "-c", "whole.yaml"], ["-c", "gone.yaml"]):
        replaced = [*first, "--data=null", "--data", "hits.yaml"]
        assert in_order([*first, "--data", "hits.yaml"]) == replaced
        assert in_order(first) == first


def test_every_order_means_the_same(configs):
    options = [["-c", "base.yaml"], ["--data", "hits.yaml"], ["--data.weighted", "true"], ["--model.rate=-1"]]
    orders = {
        tuple(arg for arg in in_order([arg for option in order for arg in option]) if "rate" not in arg)
        for order in permutations(options)
    }
    assert orders == {
        ("-c", "base.yaml", "--data=null", "--data", "hits.yaml", "--data.weighted", "true"),
    }


def test_a_part_comes_before_its_settings_and_appended_parts_keep_theirs():
    assert in_order(["--loss.gain", "-1", "--loss", "a.L"]) == ["--loss", "a.L", "--loss.gain", "-1"]
    appended = ["--callbacks+=A", "--callbacks.x=1", "--callbacks+=B", "--callbacks.x=2"]
    assert in_order(appended) == appended
