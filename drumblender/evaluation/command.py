"""`drumblender kad`: how far apart two folders of sounds are."""

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from drumblender.atomic import write_json
from drumblender.audio_io import read_audio
from drumblender.console import track
from drumblender.evaluation.embeddings import build_embedding, cache_folder, embed_files
from drumblender.evaluation.fad import frechet_audio_distance
from drumblender.evaluation.kad import KernelDistance, kernel_audio_distance
from drumblender.evaluation.runs import tests_of
from drumblender.open_sound import BadAudioError
from drumblender.sound_files import find_sounds

log = logging.getLogger(__name__)

_SILENT = 1e-6  # of full scale: -120 dB
_NAMED = 3  # files that a line names before it counts the rest


@dataclass(frozen=True)
class Sounds:
    """A folder of sounds: its files by name, their rates, which of them are silent, and how many were left
    out because they cannot be used."""

    folder: Path
    files: list[Path]
    rates: list[int]
    silent: list[str]
    left_out: int = 0


def command(args: argparse.Namespace) -> int:
    """Run ``drumblender kad`` (options: ``drumblender.options.judging.kad``); returns the exit status.

    Raises:
        ValueError: No folder, fewer than two sounds in one, an embedding that does not exist, or damaged
            weights.
    """
    target = survey(args.target)
    prediction = target if args.prediction.resolve() == target.folder.resolve() else survey(args.prediction)
    theirs = None
    if args.kadtk:
        from drumblender.evaluation.kadtk import run_kadtk

        found = run_kadtk(args.kadtk, args.embedding, target.files, prediction.files)
        points, theirs = (found.target, found.prediction), found.kad
    else:
        embedding = build_embedding(args.embedding, args.weights)
        cache = None if args.no_cache else cache_folder() / "embeddings"
        points = tuple(embed_files(sounds.files, embedding, cache) for sounds in (target, prediction))
    kad = kernel_audio_distance(
        *points,
        bandwidth_of={"pred": "prediction", "target": "target"}[args.bandwidth],
        resamples=args.resamples,
    )
    fad = frechet_audio_distance(*points)
    notes = remarks(target, prediction, points, kad)
    sys.stdout.write("\n".join([*_table(args, kad, fad, theirs, points), *notes]) + "\n")
    if args.output:
        write_json(args.output, _record(args, kad, fad, theirs, points, notes))
    return 0


def survey(folder: Path) -> Sounds:
    """All sounds below a folder, each of them read once; those that cannot be used are told and left out.

    Raises:
        ValueError: No folder, that of a test, or fewer than two sounds in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of sounds.{_tested_elsewhere(folder)}")
    if (folder / "pred").is_dir():
        raise ValueError(f"{folder} is that of a test: its target/ and pred/ are folders of sounds.")
    files = find_sounds(folder)
    rates, silent, bad = [], [], []
    for path in track(files, len(files), f"reading {folder.name}"):
        try:
            audio, rate = read_audio(path, channel="mean")
        except BadAudioError as error:
            bad.append(error)
            continue
        rates.append(rate)
        if audio.abs().max() < _SILENT:
            silent.append(path.name)
    for error in bad:
        log.warning("Left out: %s", error)
    files = [path for path in files if path not in {error.path for error in bad}]
    if len(files) < 2:
        usable = " that can be used" if bad else ""
        raise ValueError(f"{folder} has {len(files)} sounds{usable}; a distance of sets needs two at least.")
    return Sounds(folder, files, rates, silent, len(bad))


def _tested_elsewhere(folder: Path) -> str:
    """Where the sounds are of a training, where ``RUN/test/pred`` or ``RUN/pred`` was looked for."""
    run = folder.parent.parent if folder.parent.name == "test" else folder.parent
    tests = tests_of(run)
    return f" {run} was tested in {tests[0]}, whose target/ and pred/ are such folders." if tests else ""


def remarks(
    target: Sounds, prediction: Sounds, points: tuple[Tensor, Tensor], kad: KernelDistance
) -> list[str]:
    """What a reader of the numbers should know of the sets, a line each."""
    lines = [
        f"{sounds.left_out} of {sounds.left_out + len(sounds.files)} sounds in {sounds.folder} are left out: "
        "they cannot be used."
        for sounds in (target, prediction)
        if sounds.left_out
    ]
    stems = [{path.stem for path in sounds.files} for sounds in (target, prediction)]
    if not stems[0] & stems[1]:
        lines.append("The folders share no names; sets need no pairs.")
    elif alone := sorted(stems[0] ^ stems[1]):
        lines.append(f"{len(alone)} names are in one folder only ({_some(alone)}); sets need no pairs.")
    highest = [max(sounds.rates) for sounds in (target, prediction)]
    if highest[0] != highest[1]:
        lines.append(
            f"Rates differ: {target.folder} has {highest[0]} Hz, {prediction.folder} {highest[1]} Hz; "
            f"above {min(highest) // 2} Hz only one can sound, which counts as a difference."
        )
    lines += [
        f"{len(sounds.silent)} of {len(sounds.files)} sounds in {sounds.folder} are silent "
        f"({_some(sounds.silent)}); they count as they are."
        for sounds in (target, prediction)
        if sounds.silent
    ]
    fewest, dimensions = min(len(rows) for rows in points), points[0].shape[1]
    if fewest < dimensions:
        lines.append(
            f"FAD of {fewest} items in {dimensions} dimensions is far too high: compare it only between sets "
            "of equal size. KAD has no such bias."
        )
    if kad.value < 0:
        lines.append(
            "KAD is below 0: the sets are nearer than two draws of the same kind of sounds would be, as near "
            "copies are. Of two such results the lower is no better: compare those by metrics of each pair."
        )
    return lines


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _table(
    args: argparse.Namespace, kad: KernelDistance, fad: float, theirs: float | None, points: tuple
) -> list[str]:
    within = "" if kad.low is None else f"   95 %: {kad.low:.4g} to {kad.high:.4g}"
    lines = [
        f"{args.embedding}: {len(points[0])} target and {len(points[1])} predicted sounds, "
        f"{points[0].shape[1]} dimensions",
        f"KAD  {kad.value:.4f}{within}   bandwidth {kad.bandwidth:.5g}, the median of {args.bandwidth}",
        f"FAD  {fad:.4f}",
    ]
    return lines if theirs is None else [*lines, f"KAD  {theirs:.4f}   by kadtk"]


def _record(
    args: argparse.Namespace,
    kad: KernelDistance,
    fad: float,
    theirs: float | None,
    points: tuple,
    notes: list,
) -> dict:
    record = {
        "target": str(args.target),
        "prediction": str(args.prediction),
        "embedding": args.embedding,
        "items": [len(rows) for rows in points],
        "dimensions": points[0].shape[1],
        "kad": kad.value,
        "kad_low": kad.low,
        "kad_high": kad.high,
        "resamples": args.resamples,
        "bandwidth": kad.bandwidth,
        "bandwidth_of": args.bandwidth,
        "fad": fad,
        "notes": notes,
    }
    return record if theirs is None else record | {"kad_kadtk": theirs}
