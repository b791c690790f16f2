"""Makes a prepared folder from recordings: on all cores, resumable, every file kept or listed as rejected."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drumblender.atomic import PART, read_json, sha256_of, write_json
from drumblender.console import track
from drumblender.data.prepare.manifest import (
    JOURNAL,
    REJECTED,
    SETTINGS,
    Item,
    Journal,
    Manifest,
    Rejected,
    load_manifest,
    save_manifest,
    save_rejected,
)
from drumblender.data.prepare.parallel import Backend, run_parallel

_log = logging.getLogger(__name__)

Work = Callable[[tuple[str, Any]], tuple[str, Item | Rejected]]
"""Makes one item; runs in another process. Takes and returns the key with it."""


@dataclass(frozen=True)
class Report:
    """What a preparation did.

    Attributes:
        kept: Items in the manifest.
        rejected: Recordings left out.
        made: Recordings treated in this run, kept or not.
        seconds: How long that took.
    """

    folder: Path
    kept: int
    rejected: int
    made: int
    seconds: float

    def __str__(self) -> str:
        pace = f"{self.made / self.seconds:.1f} files/s" if self.made else "nothing was left to do"
        return f"{summary(self.folder, self.kept, self.rejected)}, {pace}."


def summary(folder: Path, kept: int, rejected: int) -> str:
    """How many files a folder holds, and where to see why others are not among them."""
    listed = f" (see {folder / REJECTED})" if rejected else ""
    return f"{folder}: {kept} files kept, {rejected} rejected{listed}"


def is_complete(folder: Path, meta_file: str) -> bool:
    """Whether the folder can be used as it is."""
    return (folder / meta_file).is_file() and not (folder / JOURNAL).exists()


def prepared_so_far(folder: Path, meta_file: str, settings: dict[str, Any]) -> Manifest:
    """The items that an earlier run finished, as far as their files are there and as they were.

    Raises:
        ValueError: The folder was prepared with other settings.
    """
    if not (folder / meta_file).is_file():
        return {}
    check_settings(folder, settings)
    manifest = load_manifest(folder / meta_file)
    return {
        key: item
        for key, item in manifest.items()
        if _is_whole(folder, item.filename, item.sha256)
        and _is_whole(folder, item.feature_file, item.feature_sha256)
    }


def _is_whole(folder: Path, name: str | None, digest: str | None) -> bool:
    """Whether a file of an item, if it has one, is there and has its digest, where that is known."""
    if name is None:
        return True
    path = folder / name
    return path.is_file() and (digest is None or sha256_of(path) == digest)


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that was prepared with other settings; published folders do not say theirs."""
    if not (folder / SETTINGS).is_file():
        return
    there = read_json(folder / SETTINGS)
    if not isinstance(there, dict):
        raise ValueError(
            f"{folder / SETTINGS} is no object of settings: delete it, or prepare another folder."
        )
    changed = [name for name in sorted(settings) if name in there and settings[name] != there[name]]
    if changed:
        said = ", ".join(f"{name} {there[name]} there, {settings[name]} asked" for name in changed)
        only_analysis = all(name.startswith("analysis.") for name in changed)
        remedy = "recompute with --features, or give" if only_analysis else "give"
        raise ValueError(f"{folder} was prepared with other settings ({said}): {remedy} another data_dir.")


def prepare(
    folder: Path,
    meta_file: str,
    settings: dict[str, Any],
    work: Work,
    todo: dict[str, Any],
    *,
    kept: Manifest | None = None,
    rejected: Sequence[Rejected] = (),
    mark: dict[str, Any] | None = None,
    backend: Backend = "local",
    jobs: int | None = None,
) -> Report:
    """Do the work that no earlier run has done, then write manifest, settings and rejected list.

    Args:
        folder: The prepared folder.
        meta_file: Name of its manifest.
        settings: What the result depends on.
        work: Called with each ``(key, recording)`` of ``todo``.
        todo: Recordings by key, in the order the manifest will have.
        kept: Items that need no work; those not in ``todo`` stay in front.
        rejected: Recordings rejected before that stay so.
        mark: Added to the settings in the journal, to tell one kind of work from another.
        backend: Where the work runs.
        jobs: Workers; None takes every core.
    """
    started = time.perf_counter()
    kept = kept or {}
    journal = Journal(folder, settings | (mark or {}))
    for unfinished in folder.rglob(f".*{PART}"):  # of a killed run
        unfinished.unlink()
    try:
        left = [pair for pair in todo.items() if pair[0] not in kept and pair[0] not in journal.done]
        if journal.done:
            _log.info("Going on in %s: %d of %d are done.", folder, len(todo) - len(left), len(todo))
        results = run_parallel(work, left, backend=backend, jobs=jobs)
        for key, result in track(results, len(left), folder.name):
            journal.add(key, result)
    finally:
        journal.close()
    results = {key: kept[key] if key in kept else journal.done[key] for key in todo}
    manifest = {key: item for key, item in kept.items() if key not in todo}
    manifest |= {key: result for key, result in results.items() if isinstance(result, Item)}
    rejected = [*rejected, *(result for result in results.values() if isinstance(result, Rejected))]
    save_rejected(folder, rejected)
    write_json(folder / SETTINGS, settings)
    save_manifest(folder / meta_file, manifest)
    journal.finish()
    return Report(folder, len(manifest), len(rejected), len(left), time.perf_counter() - started)
