"""A study goes on where it stopped, says what failed, and becomes a table."""

import csv
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("hydra")
from hydra import compose, initialize_config_dir
from scipy import stats

import experiments.run
from experiments.run import in_a_process, run_study
from experiments.study import plan, share
from experiments.table import main
from experiments.table_forms import text, to_latex, to_markdown
from experiments.table_numbers import build_table, compare_with_best, corrected, item_means, summarise

CONFIG = Path(experiments.run.__file__).parent / "config"
ITEMS = [f"drum{number}" for number in range(12)]


def config(tmp_path, *overrides, study="quickstart"):
    with initialize_config_dir(str(CONFIG), version_base="1.3"):
        return compose("run", overrides=[f"study={study}", f"output={tmp_path}", *overrides])


class Machine:
    """Stands in for the command line: writes what `fit` and `test` write, and fails where it is told to."""

    def __init__(self, fails=()):
        self.fails, self.lines = fails, []

    def __call__(self, arguments, log):
        self.lines.append(list(arguments))
        run, verb = log.parent, arguments[1]
        if any(verb == failing and str(run).endswith(where) for failing, where in self.fails):
            return 1
        if verb == "fit":
            checkpoints = run / "fit" / "version_0" / "checkpoints"
            checkpoints.mkdir(parents=True, exist_ok=True)
            (checkpoints / "best.ckpt").touch()
            return 0
        seed = int(run.name.removeprefix("seed_"))
        base = 2.0 if run.parent.name == "mrstft" else 3.0
        rows = [[item, base + seed + 0.01 * place] for place, item in enumerate(ITEMS)]
        name = next(word for word in arguments if word.startswith("--trainer.logger.name="))
        tested = run / name.partition("=")[2] / "version_0" / "test"
        tested.mkdir(parents=True)  # fails where an earlier test was left
        write(tested / "metrics.csv", [["name", "mss"], *rows])
        write(tested / "metrics_mean.csv", [["items", "mss"], [12, sum(r[1] for r in rows) / 12]])
        return 0


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_study_is_all_configs_overrides_and_seeds(tmp_path):
    settings = config(tmp_path, "arguments=[--more]")
    settings.study.overrides = {"small": ["--model.x=1"], "large": []}
    runs = plan(settings)
    assert [run.row for run in runs[:4]] == [
        "mrstft-small",
        "mrstft-large",
        "invariant-small",
        "invariant-large",
    ]
    assert len(runs) == 12 and len({run.folder for run in runs}) == 12
    assert runs[0].arguments[-1] == "--more" and "--model.x=1" in runs[0].arguments
    parts = [share(config(tmp_path, "parts=3", f"part={part}"), runs) for part in range(3)]
    assert sorted(run.name for part in parts for run in part) == sorted(run.name for run in runs)


def test_a_stopped_study_goes_on_and_a_failed_run_is_tried_again(tmp_path):
    settings = config(tmp_path)
    machine = Machine(fails=[("test", "invariant/seed_1")])
    assert list(run_study(settings, machine)) == ["invariant, seed 1"]
    assert sum(line[1] == "fit" for line in machine.lines) == 6
    assert "--seed_everything=2" in machine.lines[-2]
    again = Machine()
    assert run_study(settings, again) == {}
    assert [line[1] for line in again.lines] == ["test"]  # its training is kept
    assert run_study(settings, nothing := Machine()) == {} and nothing.lines == []


def test_a_killed_training_is_resumed_and_a_killed_test_begun_anew(tmp_path):
    settings = config(tmp_path, "only=[mrstft]", "study.seeds=[0]")
    run = tmp_path / "quickstart" / "mrstft" / "seed_0"
    checkpoints = run / "fit" / "version_0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()
    (run / "test" / "version_0" / "test").mkdir(parents=True)
    assert run_study(settings, machine := Machine()) == {}
    assert "--resume" in machine.lines[0] and (run / "done.json").is_file()


@pytest.mark.parametrize(
    "override, message",
    [
        ("only=[odd]", "No config odd; there are mrstft, invariant"),
        ("part=1", "part=1, parts=1"),
    ],
)
def test_a_study_without_sense_is_refused(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        run_study(config(tmp_path, override), Machine())


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path):
    settings = config(tmp_path)
    settings.study.overrides = {"../a": []}
    with pytest.raises(ValueError, match="no name of a folder"):
        plan(settings)


@pytest.mark.parametrize("study", sorted(path.stem for path in (CONFIG / "study").glob("*.yaml")))
def test_every_study_names_files_that_are_there(tmp_path, study):
    root = CONFIG.parents[1]
    for run in plan(config(tmp_path, study=study)):
        files = [word for word in run.arguments if word.startswith("cfg/")]
        assert files or run.program != "fit"
        assert all((root / file).is_file() for file in files)
        assert run.program == "fit" or find_spec(run.program)


def test_a_command_runs_in_a_process_and_its_words_are_kept(tmp_path):
    log = tmp_path / "log.txt"
    assert in_a_process(["drumblender", "--version"], log) == 0
    assert in_a_process(["drumblender", "odd"], log) == 2
    said = log.read_text()
    assert "$ python -m drumblender --version" in said and "no verb 'odd'" in said


def test_the_table_has_means_deviations_intervals_and_tests(tmp_path):
    assert run_study(config(tmp_path), Machine()) == {}
    table = build_table(tmp_path / "quickstart")
    best, other = table.rows["mrstft"]["mss"], table.rows["invariant"]["mss"]
    assert (best.mean, best.std, best.seeds, best.p) == (pytest.approx(3.055), pytest.approx(1), 3, None)
    low, high = stats.t.interval(0.95, 2, loc=best.mean, scale=1 / 3**0.5)
    assert (best.low, best.high) == (pytest.approx(low), pytest.approx(high))
    assert other.p == pytest.approx(stats.wilcoxon([1.0] * 12).pvalue, rel=1e-6)
    assert main([str(tmp_path / "quickstart")]) == 0
    assert "| invariant | 4.055 ± 1 [1.571, 6.539]* |" in (tmp_path / "quickstart" / "table.md").read_text()
    assert r"mrstft & 3.055 $\pm$ 1 [0.5709, 5.539] \\" in to_latex(table)
    (pair,) = csv.DictReader((tmp_path / "quickstart" / "pairs.csv").open())
    assert (pair["first"], pair["second"], pair["items"]) == ("mrstft", "invariant", "12")
    assert float(pair["apart"]) == pytest.approx(-1) and float(pair["p"]) == other.p
    rows = list(csv.DictReader((tmp_path / "quickstart" / "table.csv").open()))
    assert float(rows[0]["mean"]) == best.mean and rows[0]["p"] == ""


def test_jobs_of_other_configs_keep_each_others_runs(tmp_path):
    for only in ("mrstft", "invariant"):
        run_study(config(tmp_path, f"only=[{only}]", "study.seeds=[0]"), Machine(fails=[("fit", "seed_0")]))
    told = json.loads((tmp_path / "quickstart" / "study.json").read_text())
    assert {run["row"] for run in told["runs"]} == {"mrstft", "invariant"}


def test_missing_runs_are_named_and_tell_by_the_exit_status(tmp_path, capsys):
    run_study(config(tmp_path), Machine(fails=[("fit", "mrstft/seed_2")]))
    folder = tmp_path / "quickstart"
    shutil.rmtree(folder / "invariant" / "seed_0")
    assert main([str(folder)]) == 1
    assert "Missing: invariant, seed 0; mrstft, seed 2." in capsys.readouterr().out
    with pytest.raises(ValueError, match="no study.json"):
        build_table(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"runs": [{"row": "a", "seed": 1}]}))
    with pytest.raises(ValueError, match="no run that is done"):
        build_table(tmp_path)


def test_one_seed_has_no_deviation_but_an_interval_over_its_items():
    assert text(summarise([2.0])) == "2"
    cell = summarise([2.0], [1.0, 2.0, 3.0])
    low, high = stats.t.interval(0.95, 2, loc=2, scale=1 / 3**0.5)
    assert (cell.low, cell.high, cell.seeds) == (pytest.approx(low), pytest.approx(high), 1)


@pytest.mark.parametrize("better, best", [("low", "a"), ("high", "c"), ("zero", "b")])
def test_the_best_row_is_what_the_study_calls_better(better, best):
    means = {"a": -2, "b": 0, "c": 3}
    items = {name: {f"i{k}": mean + 0.01 * k for k in range(12)} for name, mean in means.items()}
    rows = {name: {"m": summarise(list(values.values()))} for name, values in items.items()}
    compare_with_best(rows, "m", items, better)
    assert [name for name, cells in rows.items() if cells["m"].p is None] == [best]


def test_holm_never_lets_a_larger_p_become_smaller():
    found = corrected({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_items_without_a_number_are_left_out():
    seeds = [{"m": {"a": 1.0, "b": float("nan")}}, {"m": {"a": 3.0}}]
    assert item_means(seeds, "m") == {"a": 2.0} and item_means(seeds, "other") == {}


def test_models_are_tested_on_parts_of_the_data_and_some_are_not_trained(tmp_path):
    settings = config(tmp_path, "tests=[all,kick]", "only=[modal,ours]", study="drums")
    assert run_study(settings, machine := Machine()) == {}
    assert [line[1] for line in machine.lines] == ["test", "test", "fit", "test", "test"]
    untrained, kick = machine.lines[0], machine.lines[-1]
    assert "cfg/drums/06_modal.yaml" in untrained and "--seed_everything=396818285" in untrained
    assert kick[2].endswith("best.ckpt") and '--data.split.instruments=["kick"]' in kick
    table = build_table(tmp_path / "drums")
    assert list(table.rows["ours"]) == ["all/mss", "kick/mss"]
    assert "**kick**" in to_markdown(table) and "% kick" in to_latex(table)
    with pytest.raises(ValueError, match="No test odd; there are all, acoustic"):
        plan(config(tmp_path, "tests=[odd]", study="drums"))


def test_a_program_is_a_run_as_well(tmp_path):
    def program(arguments, log):
        module, *_, seed, output = arguments
        assert module == "experiments.strings.search" and seed == "seed=42"
        assert output == f"output={log.parent}"
        if "genetic" in str(log):
            write(log.parent / "metrics.csv", [["name", "stft"]])
        else:
            write(log.parent / "metrics.csv", [["name", "stft", "param"], ["a", 1, "nan"], ["b", 3, 0.5]])
        return int("hybrid" in str(log))

    failures = run_study(config(tmp_path, study="strings_search"), program)
    assert {name.partition("-")[0] for name in failures} == {"genetic", "hybrid"}
    assert "left no items" in failures["genetic-burst, seed 42"]
    cells = build_table(tmp_path / "strings_search").rows["gradient-burst"]
    assert (cells["stft"].mean, cells["param"].mean) == (2, 0.5)


def test_the_markdown_says_what_its_numbers_are(tmp_path):
    run_study(config(tmp_path), Machine())
    assert to_markdown(build_table(tmp_path / "quickstart")).startswith("Mean ± sample deviation of 3 seeds")
