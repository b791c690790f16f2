"""`drumblender-dataset`: fetches, prepares, verifies, packs and uploads a data set."""

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from drumblender.console import UsageError, config_reason, exit_status, log_to_terminal
from drumblender.process import settle
from drumblender.shipped import find_shipped, name_shipped_parts
from drumblender.sound_files import printable
from drumblender.yaml_check import check_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from lightning import LightningDataModule

    from drumblender.data.base import AudioData
    from drumblender.data.prepare.preparation import Report

PROGRAM = "drumblender-dataset"


def main(args: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    settle()
    own, overrides = _split(sys.argv[1:] if args is None else args)
    options = _parser().parse_args(own)
    log_to_terminal(debug=options.debug)
    return exit_status(lambda: _run(options, overrides), program=PROGRAM, debug=options.debug)


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those of the data, each with its value."""
    own: list[str] = []
    overrides: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg.startswith("--data."):
            overrides += (
                [arg] if "=" in arg else [arg, *([value] if (value := next(rest, None)) is not None else [])]
            )
        else:
            own.append(arg)
    return own, overrides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Make a data set ready: fetch its prepared archive, or prepare it from raw recordings. "
        "Without a flag, what is missing is done and nothing else. A killed run goes on where it stopped.",
        epilog="--data.NAME VALUE overrides a value of CONFIG, such as --data.raw_dir DIR.",
        allow_abbrev=False,
    )
    parser.add_argument("config", metavar="CONFIG", help="a data configuration, such as cfg/data/folder.yaml")
    actions = parser.add_argument_group("what to do; several flags are done in this order")
    actions.add_argument(
        "--preprocess", action="store_true", help="prepare from raw, though an archive exists"
    )
    actions.add_argument(
        "--features", "--preprocess_features", action="store_true", help="analyse anew, from prepared audio"
    )
    actions.add_argument(
        "--verify", action="store_true", help="read every prepared file and check its digest"
    )
    actions.add_argument(
        "--plot", metavar="DIR", help="draw each melody: waveform, spectrogram, pitch, periodicity, loudness"
    )
    actions.add_argument(
        "--doctor", metavar="FILE.csv", help="report what is wrong with melodies: silence, chords, twins ..."
    )
    actions.add_argument(
        "--shards", metavar="DIR", help="write the items of each split into tar files, for ShardDataModule"
    )
    actions.add_argument("--archive", metavar="FILE", help="pack the prepared folder into a .tar.gz")
    actions.add_argument("--upload", metavar="FILE", help="upload a file to the store of CONFIG")
    parser.add_argument(
        "--backend",
        choices=("local", "threads", "processes", "ray", "dask"),
        default="local",
        help="where the work runs",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (default: every core)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and more messages")
    return parser


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    data = _load(options.config, overrides)
    from drumblender.data.base import AudioData  # late, as in _load

    if not isinstance(data, AudioData):
        return _run_in_memory(data, options)
    workers = {"backend": options.backend, "jobs": options.jobs}
    asked = False
    if options.preprocess:
        asked = _report(data.preprocess(**workers))
    if options.features:
        asked = _report(data.preprocess_features(**workers))
    if options.verify:
        asked = True
        if problems := data.verify():
            _say("\n".join(problems))
            raise ValueError(
                f"{data.data_dir}: {len(problems)} problems. --preprocess mends them, from the raw audio."
            )
        _say(f"{data.data_dir}: every file is as it was prepared.")
    if options.plot or options.doctor:
        asked = _look_at(data, options)
    if options.shards:
        data.prepare_data(**workers)
        asked = _write_shards(data, options.shards)
    if options.archive:
        asked = _say(f"{data.pack_archive(options.archive)}: packed.")
    if options.upload:
        asked = _say(f"{data.upload(options.upload)}: uploaded.")
    if not asked:
        data.prepare_data(**workers)
        _say(data.summary())
    return 0


def _run_in_memory(data: "LightningDataModule", options: argparse.Namespace) -> int:
    """For data that is made or read anew in every run: there is no prepared folder to work on."""
    name = type(data).__name__
    for action in ("preprocess", "features", "verify", "plot", "doctor", "shards", "archive", "upload"):
        if vars(options)[action]:
            raise UsageError(f"{name} keeps no prepared folder, so --{action} does not apply.")
    data.prepare_data()
    data.setup("fit")
    _say(f"{name}: ready; nothing needs to be prepared.")
    return 0


def _look_at(data: "AudioData", options: argparse.Namespace) -> bool:
    """Pictures and report of a set of melodies."""
    from pathlib import Path

    from drumblender.data import PhraseDataModule
    from drumblender.evaluation.data_doctor import examine, plot_items, write_report

    if not isinstance(data, PhraseDataModule):
        raise UsageError(f"{type(data).__name__} has no curves of melodies: --plot and --doctor need them.")
    data.prepare_data(backend=options.backend, jobs=options.jobs)
    if options.plot:
        _say(f"{options.plot}: {plot_items(data, Path(options.plot))} pictures.")
    if options.doctor:
        found = examine(data)
        write_report(found, Path(options.doctor))
        for one in found:
            for complaint in one.complaints():
                _say(f"{one.source}: {complaint}.")
        sound = sum(not one.complaints() for one in found)
        _say(f"{options.doctor}: {sound} of {len(found)} recordings give no cause to look.")
    return True


def _write_shards(data: "AudioData", folder: str) -> bool:
    from pathlib import Path

    from drumblender.data.phrases import PhraseData
    from drumblender.data.shard_files import write_shards

    if isinstance(data, PhraseData):
        raise UsageError(
            "Phrases are cut anew in every epoch, out of whole recordings: they keep their files."
        )
    data.setup()
    for split, items in data.splits.items():
        written = write_shards(items, Path(folder), split)
        _say(f"{folder}: {len(items)} items of {split} in {len(written)} shard{'s' * (len(written) != 1)}.")
    return True


def _report(report: "Report") -> bool:
    _say(report)
    if not report.kept:
        raise ValueError(f"{report.folder}: no recording could be kept.")
    return True


def _say(message: object) -> bool:
    sys.stdout.write(f"{printable(str(message))}\n")
    return True


def _load(config: str, overrides: list[str]) -> "LightningDataModule":
    """The data module that a configuration names, with some of its values overridden.

    Raises:
        UsageError: No such file; a misspelt name or a value of the wrong type in it or in the overrides.
    """
    from pathlib import Path

    path = Path(config) if Path(config).is_file() else find_shipped(config)
    if path is None:
        raise UsageError(f"No configuration {config}; see cfg/data/.")
    try:
        check_yaml(path)
    except ValueError as error:
        raise UsageError(str(error)) from error
    # Here, not above: with torch and Lightning they take seconds, and --help must not.
    from jsonargparse import ArgumentError, ArgumentParser
    from jsonargparse.typing import path_type
    from lightning import LightningDataModule

    import drumblender.data.modules  # noqa: F401  the parser finds by short names what has been imported

    name_shipped_parts()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    upgraded = _upgraded(path)
    given = f"--data={path if upgraded is None else upgraded}"
    # Names of files in a text are relative to the file that it was made from.
    place = nullcontext() if upgraded is None else path_type("fr")(str(path)).relative_path_context()
    try:
        with place:
            parsed = parser.parse_args([given, *overrides])
        return parser.instantiate(parsed).data
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{config}: {config_reason(error)}") from error


def _upgraded(path: "Path") -> str | None:
    """The text of a configuration as this version takes it, if it is of an earlier one."""
    import yaml

    from drumblender.data.upgrade import upgrade_data

    config = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    if not isinstance(config, dict) or (new := upgrade_data(config)) == config:
        return None
    return yaml.safe_dump(new)
