import csv
import math

import pytest

from experiments.drums.tables import (
    METRICS,
    MODELS,
    TABLES,
    Table,
    build_table,
    format_number,
    read_means,
    to_latex,
    to_markdown,
    write_tables,
)


def write_run(logs, name, *rows):
    folder = logs / name / "version_0"
    folder.mkdir(parents=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", *METRICS.values()])
        writer.writerows([0, 0, *row] for row in rows)


@pytest.fixture
def logs(tmp_path):
    for index, model in enumerate(MODELS):
        for subsets in TABLES.values():
            for place, ending in enumerate(subsets.values()):
                write_run(tmp_path, f"{model}_{ending}", (index + 0.05, place + 0.5, 10 * index))
    return tmp_path


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_the_published_ones(golden, name, tmp_path):
    file = golden("drums", "result_tables")
    for run, values in zip(file["in_runs"].tolist(), file["in_values"].tolist(), strict=True):
        write_run(tmp_path, run, values)
    table = build_table(tmp_path, TABLES[name])
    assert list(table.columns) == file[f"out_{name}_columns"].tolist()
    assert list(table.rows) == file[f"out_{name}_rows"].tolist()
    file.check(f"out_{name}", [list(row) for row in table.values])
    assert table.text() == file[f"out_{name}_text"].tolist()


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0999, "0.100"),
        (0.1, "0.1"),
        (0.101, "0.10"),
        (9.999, "10.00"),
        (10.0, "10.0"),
        (123.456, "123.5"),
        (0.0, "0.000"),
        (-3.0, "-3.000"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_numbers_keep_about_three_digits(value, text):
    assert format_number(value) == text


def test_a_cell_is_the_mean_of_the_rows_that_have_a_value(tmp_path):
    write_run(tmp_path, "run", (1.0, "", 5.0), (3.0, "", ""))
    means = read_means(tmp_path / "run/version_0/metrics.csv", METRICS.values())
    assert means["test/loss"] == 2 and means["test/flux_onset"] == 5 and math.isnan(means["test/lsd"])


def test_all_missing_runs_are_named(logs):
    for run in ("modal_all", "noise_params_e"):
        (logs / run / "version_0/metrics.csv").unlink()
    with pytest.raises(FileNotFoundError, match="modal_all, noise_params_e"):
        build_table(logs, TABLES["all"])


def test_a_later_version_is_not_taken_for_the_first(logs):
    (logs / "modal_all/version_0").rename(logs / "modal_all/version_1")
    with pytest.raises(FileNotFoundError, match="modal_all"):
        build_table(logs, TABLES["all"])


def test_a_missing_column_is_named(tmp_path):
    folder = tmp_path / "run/version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("epoch,test/loss\n0,1.0\n")
    with pytest.raises(ValueError, match="'test/lsd'"):
        read_means(folder / "metrics.csv", METRICS.values())


def test_the_three_formats_hold_the_same_numbers(logs, tmp_path):
    files = write_tables(logs, tmp_path / "out")
    assert {file.name for file in files} == {
        f"{name}.{ending}" for name in TABLES for ending in ("tex", "md", "csv")
    }
    with (tmp_path / "out/all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == list(MODELS)
    assert float(rows[2]["acoustic_lsd"]) == 1.5 and float(rows[2]["electronic_flux_onset"]) == 20


def test_latex_and_markdown_by_hand():
    table = Table(("all_parallel",), ("kick_mss", "kick_lsd"), ((0.05, 12.0),))
    assert to_markdown(table) == (
        "| model | kick_mss | kick_lsd |\n| --- | ---: | ---: |\n| all_parallel | 0.050 | 12.0 |\n"
    )
    assert to_latex(table).splitlines()[2:5] == [
        r" & kick\_mss & kick\_lsd \\",
        r"\midrule",
        r"all\_parallel & 0.050 & 12.0 \\",
    ]


@pytest.fixture
def config(tmp_path):
    hydra = pytest.importorskip("hydra")
    with hydra.initialize(version_base="1.3", config_path="../experiments/drums/config"):
        return hydra.compose("evaluate", [f"logs={tmp_path}", "checkpoints=weights"])


@pytest.mark.parametrize("only, count", [("as shipped", 7), (None, 15)])
def test_each_model_is_tested_on_each_subset_once(config, tmp_path, only, count):
    from experiments.drums.evaluate import evaluate

    if only is None:
        config.only_subsets = None
    commands = []

    def run(arguments):
        commands.append(arguments)
        name = next(arg for arg in arguments if arg.startswith("--trainer.logger.name=")).partition("=")[2]
        write_run(tmp_path, name, (1.0, 2.0, 3.0))
        return 0

    tested = evaluate(config, run)
    assert len(tested) == len(set(tested)) == 6 * count
    assert commands[count][:4] == ["test", "weights/all_parallel.ckpt", "--data", "cfg/data/percussion.yaml"]
    assert evaluate(config, run) == []
    assert len(write_tables(tmp_path, tmp_path / "tables", list(config.models))) == 6


def test_each_subset_is_the_whole_set_with_the_filter_that_its_name_says(config):
    """The data of every command line can be built, and holds what it says."""
    from drumblender.dataset_cli import _load
    from experiments.drums.evaluate import command_line

    kinds = {"kick": ("kick",), "snare": ("snare",), "tom": ("tom",), "cymbals": ("hihat", "cymbals")}
    for name in config.subsets:
        line = command_line(config, "all_parallel", name)
        data = _load(line[line.index("--data") + 1], [arg for arg in line if arg.startswith("--data.")])
        words = name.split("_")
        assert data.split.types == {"a": ("acoustic",), "e": ("electronic",)}.get(words[0])
        assert data.split.instruments == kinds.get(words[-1])
        assert (data.split.strategy, data.split.seed) == ("sample_pack", 5152845)
        assert data.batch_size == (12 if name == "all" else 8)


def test_the_configuration_names_the_models_and_subsets_of_the_tables(config):
    assert tuple(config.models) == MODELS
    of_tables = {ending for subsets in TABLES.values() for ending in subsets.values()}
    assert set(config.only_subsets) == of_tables and of_tables < set(config.subsets)


def test_a_failed_test_stops_the_evaluation_and_says_which(config):
    from experiments.drums.evaluate import evaluate

    with pytest.raises(RuntimeError, match="modal_all .* status 1"):
        evaluate(config, lambda arguments: 1)


def test_unknown_models_are_refused(config):
    from experiments.drums.evaluate import evaluate

    config.only_models = ["modla"]
    with pytest.raises(ValueError, match="No model modla; there are modal"):
        evaluate(config, lambda arguments: 0)
