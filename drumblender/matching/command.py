"""`drumblender match`: fit a synth to one recording, or to each of a folder."""

import csv
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from torch import nn

from drumblender.atomic import atomic_write
from drumblender.matching.arguments import match_parser
from drumblender.matching.auto import match_best
from drumblender.matching.genetic import GeneticSettings
from drumblender.matching.match import Match, match
from drumblender.matching.report import check_reports, write_report
from drumblender.matching.synth_files import AUTO, rates, shipped_names, synth_config
from drumblender.matching.telling import told
from drumblender.open_sound import BadAudioError
from drumblender.shipped import shipped_dir
from drumblender.sound_files import distinct_outputs, find_sounds_outside, printable
from drumblender.synths.base import Synth

__all__ = ["Match", "command", "match"]

log = logging.getLogger(__name__)

_UNLISTED = ("folder", "interrupted", "auto")  # not in the summary


def command(args: list[str]) -> int:
    """`drumblender match IN --synth ... --output DIR`.

    Returns:
        Exit status: 0, 1 where no sound of a folder could be matched, or 130 after an interruption; then
        the best until there is written.
    """
    args, auto = _without_auto(shipped_names(args))
    given = match_parser().parse_args(["--loss", str(shipped_dir("cfg") / "losses" / "mrstft.yaml"), *args])
    if given.synth is None and not auto:
        raise ValueError("Which synth? Give one with --synth cfg/synths/NAME.yaml, or --synth auto.")
    path, output = Path(given.input), Path(given.output)
    if path.is_dir():
        return _folder(path, output, given)
    row = _match_file(path, output, given)
    sys.stdout.write(_summary(row) + "\n")
    return 130 if row["interrupted"] else 0


def _without_auto(args: list[str]) -> tuple[list[str], bool]:
    """``--synth auto`` names no class: the parser must not see it."""
    for place, arg in enumerate(args):
        if arg == "--synth=auto":
            return args[:place] + args[place + 1 :], True
        if arg == "--synth" and args[place + 1 : place + 2] == ["auto"]:
            return args[:place] + args[place + 2 :], True
    return args, False


def _folder(folder: Path, output: Path, given: Namespace) -> int:
    """Every sound into a folder of its own, a line a sound, and all in ``summary.csv``."""
    sounds = find_sounds_outside(output, folder)
    if not sounds:
        raise ValueError(f"{folder} holds no sounds.")
    rows: list[dict[str, Any]] = []
    places = {sound: path.with_suffix("") for sound, path in distinct_outputs(sounds, folder, output).items()}
    check_reports(sounds, places.values())
    for sound, place in places.items():
        name = printable(sound.relative_to(folder))
        try:
            rows.append(_match_file(sound, place, given) | {"file": name, "reason": ""})
            sys.stdout.write(_summary(rows[-1]) + "\n")
        except (BadAudioError, ValueError) as error:
            log.warning("%s is left out: %s", name, error)
            rows.append({"file": name, "reason": " ".join(str(error).split())})
        _write_summary(output / "summary.csv", rows)
        if rows[-1].get("interrupted"):
            return 130
    failed = sum(bool(row["reason"]) for row in rows)
    left_out = f", {failed} left out" if failed else ""
    sys.stdout.write(
        f"{len(rows) - failed} of {len(rows)} sounds matched{left_out}; wrote {output}/summary.csv\n"
    )
    return 1 if failed == len(rows) else 0


def _write_summary(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in _UNLISTED))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside, Path(aside).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _match_file(path: Path, output: Path, given: Namespace) -> dict[str, Any]:
    """Match one recording and write its report; returns what the summary says of it."""
    # Data modules import Lightning, which takes seconds that --help need not wait for.
    from drumblender.matching import inputs

    check_reports([path], [output])
    given = given.clone()
    rate = inputs.work_rate(given, path)
    target = inputs.heard(path, rate, given.seconds, given.keep_silence)
    synths, configs, loss = _parts(given, rate)
    settings = _settings(given, synths, target, rate)
    own = inputs.control_settings(given, synths)
    synths = {name: synths[name] for name in own}
    output.mkdir(parents=True, exist_ok=True)  # before the search, not after
    device = torch.device(given.device)
    target, loss = target.to(device), loss.to(device).eval()
    synths = {name: synth.to(device) for name, synth in synths.items()}
    with told(path.name, given.renders) as tell:
        if len(synths) == 1:
            ((name, synth),) = synths.items()
            found = match(target, synth, loss, renders=given.renders, tell=tell, **settings | own[name])
            tried = {}
        else:
            trials = match_best(target, synths, loss, renders=given.renders, own=own, tell=tell, **settings)
            name, found, tried = trials.name, trials.match, trials.losses
    kept = {
        "synth": configs[name],
        "sample_rate": rate,
        "num_samples": len(target),
        "seed": given.seed,
        "loss": type(loss).__name__,
        "best_loss": found.loss,
        "found_loss": found.found_loss,
        "start_loss": found.history[0].best,
        "baselines": found.baselines,
        "method": given.method,
        "renders": found.renders,
        "found_db": found.found_db,
        "level_db": found.level_db,
    } | ({"tried": tried} if tried else {})
    write_report(output, found, target, rate, synths[name], kept)
    return _row(path, output, name, found, given.method) | {"auto": given.synth is None}


def _settings(given: Namespace, synths: dict[str, Synth], target: torch.Tensor, rate: int) -> dict[str, Any]:
    """The arguments of :func:`match` that the command line gives, for any synth."""
    from drumblender.matching import inputs

    hears = any(synth.needs_source for synth in synths.values())
    source = inputs.given_source(given.source or ("target" if hears else None), target, rate)
    return {
        "method": given.method,
        "restarts": given.restarts,
        "lr": given.lr,
        "genetic": GeneticSettings(given.population, given.parents),
        "patience": given.patience,
        "min_delta": given.min_delta,
        "seed": given.seed,
        "analyse": not given.random_start,
        "match_level": not given.keep_level,
        "source": None if source is None else source.to(given.device),
        "sample_rate": rate,
    }


def _parts(given: Namespace, rate: int) -> tuple[dict[str, Synth], dict[str, dict[str, Any]], nn.Module]:
    """The synths by name, what names each in a file, and the loss."""
    chosen = {"": given.synth} if given.synth is not None else {}
    if not chosen:
        for name in AUTO:
            chosen[name] = synth_config(shipped_dir("cfg") / "synths" / f"{name}.yaml")
            for section, key in rates(chosen[name]):
                section[key] = rate
    synths, configs = {}, {}
    parser = match_parser()
    for name, config in chosen.items():
        one = given.clone()
        one.synth = config
        with torch.random.fork_rng():
            torch.manual_seed(given.seed)  # some synths draw their noise when they are made
            parts = parser.instantiate(one)
        label = name or config.class_path.rpartition(".")[2]
        synths[label], loss = parts.synth.eval(), parts.loss
        configs[label] = {"class_path": config.class_path, "init_args": _plain(config.get("init_args")) or {}}
    return synths, configs, loss


def _plain(value: Any) -> Any:
    """Settings as JSON holds them."""
    if isinstance(value, Namespace):
        return {key: _plain(item) for key, item in vars(value).items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _row(path: Path, output: Path, synth: str, found: Match, method: str) -> dict[str, Any]:
    losses = {f"loss of {name}": round(loss, 5) for name, loss in found.baselines.items()}
    return {
        "file": path.name,
        "synth": synth,
        "method": method,
        "start_loss": round(found.history[0].best, 5),
        "found_loss": round(found.found_loss, 5),
        "loss": round(found.loss, 5),
        **losses,
        "beaten_by": " and ".join(found.beaten_by),
        "found_db": round(found.found_db, 3),
        "level_db": round(found.level_db, 3),
        "renders": found.renders,
        "seconds": round(found.seconds, 2),
        "skipped": found.skipped,
        "failed": found.failed,
        "interrupted": found.interrupted,
        "folder": str(output),
    }


def _summary(row: dict[str, Any]) -> str:
    """One line."""
    troubles = {"steps skipped": row["skipped"], "renders without a finite loss": row["failed"]}
    said = "".join(f", {count} {what}" for what, count in troubles.items() if count)
    stopped = ", interrupted" if row["interrupted"] else ""
    beside = ", ".join(
        f"{key.removeprefix('loss of ')} {value:.4f}"
        for key, value in row.items()
        if key.startswith("loss of ")
    )
    beside = f" ({beside})" if beside else ""
    moved = row["loss"] != row["found_loss"]
    levelled = f", {row['loss']:.4f} at the target's level" if moved else ""
    remedy = "" if row["auto"] else ": try --synth auto"
    lost = f"; does NOT beat {row['beaten_by']}{remedy}" if row["beaten_by"] else ""
    return (
        f"{row['file']}: loss {row['start_loss']:.4f} -> {row['found_loss']:.4f}{levelled}{beside} by "
        f"{row['method']} search with {row['synth']}, {row['renders']} renders in {row['seconds']:.1f} s"
        f"{said}{stopped}; level {row['level_db']:+.1f} dB (search: {row['found_db']:+.1f} dB); "
        f"wrote {row['folder']}/{lost}"
    )
