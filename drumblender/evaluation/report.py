"""`drumblender report`: a page on which runs are heard, seen and judged; it opens from the disk."""

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import soundfile
from torch import Tensor

from drumblender import __version__
from drumblender.atomic import atomic_write
from drumblender.audio_io import read_audio
from drumblender.console import track
from drumblender.evaluation.pictures import draw_curves, draw_spectrogram, levels_db, outline
from drumblender.evaluation.played import show_controls
from drumblender.evaluation.runs import Run, read_runs

_log = logging.getLogger(__name__)
_PAGE = Path(__file__).parent / "page"


def command(args: argparse.Namespace) -> int:
    """Run ``drumblender report`` (options: ``drumblender.options.judging.report``); returns the exit status.

    Raises:
        ValueError: A folder that is no tested run, or no items in all of them.
        BadAudioError: A sound that cannot be read.
    """
    runs = read_runs(args.runs)
    folder = args.output or args.runs[0] / "report"
    page = write_report(runs, folder, args.items)
    sys.stdout.write(f"{len(runs)} run{'s' * (len(runs) > 1)}: open {page}\n")
    return 0


def write_report(runs: Sequence[Run], folder: Path, limit: int | None = None) -> Path:
    """Write ``index.html`` and beside it ``sounds/`` (24-bit WAV) and ``pictures/``.

    Args:
        runs: Shown beside each other, item by item.
        folder: Made where it is not there; files of an earlier report in it are replaced.
        limit: Items shown at most, in the order of their names.

    Returns:
        The page.
    """
    names = sorted({name for run in runs for name in run.sounds})[:limit]
    metrics = list(dict.fromkeys(metric for run in runs for row in run.metrics.values() for metric in row))
    items = [
        _item(number, name, runs, metrics, folder)
        for number, name in enumerate(track(names, len(names), "report"))
    ]
    page = folder / "index.html"
    text = render(runs, metrics, items)
    with atomic_write(page) as aside:
        aside.write_text(text, encoding="utf-8")
    return page


def render(runs: Sequence[Run], metrics: list[str], items: list[dict[str, Any]]) -> str:
    """The text of the page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    curves, reach = draw_curves(
        {f"{run.name}: {name}": curve for run in runs for name, curve in run.curves.items()}
    )
    return environment.get_template("report.html").render(
        runs=[run.name for run in runs],
        means=[[_number(run.means().get(metric)) for metric in metrics] for run in runs],
        metrics=metrics,
        items=items,
        curves=curves,
        reach=reach,
        page_files={name: (_PAGE / name).read_text(encoding="utf-8") for name in _INLINE},
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
    )


_INLINE = ("report.css", "report.js", "wavesurfer.min.js", "wavesurfer.LICENSE.txt")


def _item(number: int, name: str, runs: Sequence[Run], metrics: list[str], folder: Path) -> dict[str, Any]:
    """Write the sounds and pictures of one item; returns what the page knows of it."""
    paths: dict[tuple[int | None, str], Path] = {}
    for place, run in enumerate(runs):
        for kind, path in run.sounds.get(name, {}).items():
            key = (None if kind == "target" else place, kind)
            paths.setdefault(key, path)  # one target for all runs
    read = {key: read_audio(path, channel="mean") for key, path in paths.items()}
    loudest = max(float(audio.abs().max()) for audio, _ in read.values())
    scale = min(1.0, 0.999 / loudest) if loudest else 1.0  # what is above full scale would be clipped
    levels = {key: float(audio.square().mean().sqrt()) for key, (audio, _) in read.items()}
    quietest = min((level for level in levels.values() if level > 0), default=0.0)
    shown = {key: levels_db(audio, rate) for key, (audio, rate) in read.items()}
    reference = shown.get((None, "target"), next(iter(shown.values())))
    top_db = float(reference.max())
    sounds = []
    for key, (audio, rate) in read.items():
        stem = f"{number:05}-{'target' if key[0] is None else f'{key[0]}-{key[1]}'}"
        _write_sound(folder / "sounds" / f"{stem}.wav", audio * scale, rate)
        draw_spectrogram(folder / "pictures" / f"{stem}.png", shown[key], top_db)
        sounds.append(
            {
                "run": key[0],
                "kind": key[1],
                "src": quote(f"sounds/{stem}.wav"),
                "image": quote(f"pictures/{stem}.png"),
                "peaks": outline(audio * scale),
                "seconds": round(len(audio) / rate, 4),
                "gain": quietest / levels[key] if levels[key] else 1.0,
            }
        )
    values = [[_number(run.metrics.get(name, {}).get(metric)) for metric in metrics] for run in runs]
    played = [
        {"run": place, **known, "image": quote(f"pictures/{known['image']}") if "image" in known else None}
        for place, run in enumerate(runs)
        if name in run.controls
        for known in _controls_of(run.controls[name], folder / "pictures", f"{number:05}-{place}")
    ]
    order = list(dict.fromkeys(known["name"] for known in played))
    played.sort(key=lambda known: (order.index(known["name"]), known["run"]))  # runs beside each other
    scaled_db = round(20 * math.log10(scale), 1)
    return {"name": name, "values": values, "sounds": sounds, "controls": played, "scaled_db": scaled_db}


def _controls_of(path: Path, pictures: Path, stem: str) -> list[dict[str, Any]]:
    """What the page shows of the controls of an item: nothing of a damaged file, which is told."""
    try:
        return show_controls(path, pictures, stem)
    except ValueError as error:
        _log.warning("%s", error)
        return []


def _write_sound(path: Path, audio: Tensor, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No FLAC: browsers fail to seek in one that is shorter than a block. No float: not all of them play it.
    soundfile.write(path, audio.numpy(), rate, subtype="PCM_24")


def _number(value: float | None) -> float | None:
    """What JSON can hold."""
    return None if value is None or not math.isfinite(value) else value
