"""Reads all of a prepared folder and says what is wrong."""

from functools import partial

from drumblender.atomic import sha256_of
from drumblender.console import track
from drumblender.data.items import AudioItems
from drumblender.data.prepare.parallel import run_parallel


def problems_of(items: AudioItems) -> list[str]:
    """One sentence for each file that is not as its manifest says; none when all is well.

    Every item is read as the loaders read it, and digested where the manifest has a digest.
    """
    # Threads do: decoding and digesting release Python's lock.
    found = run_parallel(partial(_problems, items), range(len(items)), backend="threads")
    by_index = dict(track(found, len(items), "verify"))
    return [problem for index in sorted(by_index) for problem in by_index[index]]


def _problems(items: AudioItems, index: int) -> tuple[int, list[str]]:
    return index, _problems_of_item(items, index)


def _problems_of_item(items: AudioItems, index: int) -> list[str]:
    item = items.manifest[items.keys[index]]
    try:
        read = items[index]
    except ValueError as error:
        return [str(error)]
    wrong = [f"{items.folder / item.filename}: {name} has NaN" for name in read if _has_nan(read[name])]
    for name, digest in ((item.filename, item.sha256), (item.feature_file, item.feature_sha256)):
        if name and digest and sha256_of(items.folder / name) != digest:
            wrong.append(f"{items.folder / name}: changed since it was prepared (other sha256).")
    return wrong


def _has_nan(value: object) -> bool:
    return hasattr(value, "isnan") and bool(value.isnan().any())
