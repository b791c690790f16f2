"""Reads all of a prepared folder and says what is wrong."""

from drumblender.console import track
from drumblender.data.atomic import sha256_of
from drumblender.data.items import AudioItems


def problems_of(items: AudioItems) -> list[str]:
    """One sentence for each file that is not as its manifest says; none when all is well.

    Every item is read as the loaders read it, and digested where the manifest has a digest.
    """
    # joblib takes 0.15 s to import. Threads do: decoding and digesting release Python's lock.
    from joblib import Parallel, delayed

    check = Parallel(n_jobs=-1, backend="threading", return_as="generator")
    found = check(delayed(_problems)(items, index) for index in range(len(items)))
    return [problem for problems in track(found, len(items), "verify") for problem in problems]


def _problems(items: AudioItems, index: int) -> list[str]:
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
