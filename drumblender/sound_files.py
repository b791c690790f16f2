"""Finds the sound files of a folder: by one rule, whichever command looks for them."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_READ = """
.wav .wave .bwf .wavex .rf64 .w64 .flac .aif .aiff .aifc .ogg .oga .opus .mp3 .mp2 .mpga .au .snd .caf
.sf .ircam .voc .svx .8svx .16svx .iff .nist .sph .paf .pvf .avr .htk .sds .sd2 .wve .xi
"""
_NOT_READ = """
.m4a .m4b .aac .mp4 .wma .ac3 .eac3 .dts .ape .wv .tta .mka .weba .amr .3gp .ra .dsf .dff .spx .mpc
.raw .pcm .rx2 .rex
"""
READABLE = frozenset(_READ.split())
"""Suffixes of what libsndfile reads."""
UNREADABLE = frozenset(_NOT_READ.split())
"""Suffixes of sounds that it does not read; they are found too, so that each can be named with the reason."""
SUFFIXES = READABLE | UNREADABLE
_OF_SYSTEMS = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"))


def find_sounds(path: Path) -> list[Path]:
    """The file itself, or the sound files below a folder, in the order of their names.

    What counts is the suffix, in either case. Hidden files (``._kick.wav``) and folders, and folders that
    operating systems make (``__MACOSX``), are left out. Links to folders are followed; each real folder is
    searched once, so that no recording comes twice and no circle is endless. Files that cannot be read are
    among the results, for whoever reads them to say why: links to nothing, pipes, formats like m4a.

    Args:
        path: A file, of any suffix, or a folder.

    Raises:
        FileNotFoundError: There is neither.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.WAV", "a.flac", "._a.flac", "notes.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in find_sounds(folder)]
        ['a.flac', 'b.WAV']
    """
    if not path.is_dir():
        if not os.path.lexists(path):
            raise FileNotFoundError(f"No file or folder {printable(path)}.")
        return [path]
    root = Path(os.path.realpath(path))
    searched, found, links = {root}, [], [path]
    while links:
        links = _search(links, root, searched, found)
    return sorted(found)


def find_sounds_outside(output: Path, path: Path) -> list[Path]:
    """:func:`find_sounds` without what an earlier run left in ``output``, where that lies below ``path``.

    Args:
        output: What a command writes to.
        path: A file, or a folder; where it is ``output`` itself nothing is left out.
    """
    found, inside = find_sounds(path), output.resolve()
    if inside == path.resolve() or not inside.is_relative_to(path.resolve()):
        return found
    return [sound for sound in found if not sound.resolve().is_relative_to(inside)]


def _search(folders: list[Path], root: Path, searched: set[Path], found: list[Path]) -> list[Path]:
    """Add the sounds of some folders to ``found``; returns links to folders that are new.

    All real folders come before any link: a recording keeps its own place, not that of a link to it.
    """
    links = []
    for top in folders:
        for place, names, files in os.walk(top, onerror=_tell):
            folder = Path(place)
            wanted = sorted(name for name in names if _counts(name))
            links += [folder / name for name in wanted if (folder / name).is_symlink()]
            real = [name for name in wanted if not (folder / name).is_symlink()]
            names[:] = [name for name in real if _enter(folder / name, searched)]
            found += [
                folder / name for name in files if _counts(name) and Path(name).suffix.lower() in SUFFIXES
            ]
    return [link for link in links if _is_new(link, root, searched)]


def _is_new(link: Path, root: Path, searched: set[Path]) -> bool:
    target = Path(os.path.realpath(link))
    if root.is_relative_to(target):
        _log.warning("%s leads back to %s and is not followed.", printable(link), printable(target))
        return False
    if not _enter(target, searched):
        _log.info("%s is %s, which is searched once.", printable(link), printable(target))
        return False
    return True


def _enter(folder: Path, searched: set[Path]) -> bool:
    """Whether a folder was not searched yet; from now on it counts as searched."""
    real = Path(os.path.realpath(folder))
    fresh = real not in searched
    searched.add(real)
    return fresh


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in _OF_SYSTEMS


def _tell(error: OSError) -> None:
    _log.warning("%s cannot be searched (%s).", printable(error.filename), error.strerror)


def printable(path: str | os.PathLike[str]) -> str:
    r"""A name that can be printed, hashed and written as UTF-8: other bytes become ``\xe9``.

    Examples:
        >>> printable("caf\udce9.wav")
        'caf\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def natural_order(path: Path) -> list[list[tuple[int, int | str]]]:
    """A sort key that puts ``hit2`` before ``hit10``, folder by folder.

    Examples:
        >>> sorted([Path("hit10.wav"), Path("hit2.wav")], key=natural_order)[0].name
        'hit2.wav'
    """
    return [_counted(part) for part in path.parts]


def _counted(name: str) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", name)  # every second one is digits; \d knows no superscripts, as int does
    return [(0, int(part)) if at % 2 else (1, part) for at, part in enumerate(parts)]


def distinct_outputs(
    sounds: Iterable[Path], source: Path, output: Path, endings: Sequence[str] = ("",)
) -> dict[Path, Path]:
    """A WAV file below ``output`` for each sound below ``source``, in the same place, none for two.

    ``kick.flac`` becomes ``kick.wav``. Where that, or with one of the endings, would be another sound's file
    (``kick.wav`` stands beside it, or ``kick.modal.wav``), its whole name stays: ``kick.flac.wav``; and where
    that is taken too, a number follows. Case does not tell files apart, since some disks do not keep it.

    Args:
        sounds: As ``find_sounds(source)`` gives them.
        source: The folder of the sounds.
        output: The folder to write to.
        endings: What goes between name and ``.wav`` of the files of a sound: ``("", ".modal", ".noise")``.

    Examples:
        >>> names = [Path("in/a.wav"), Path("in/a.flac"), Path("in/b.flac")]
        >>> [path.name for path in distinct_outputs(names, Path("in"), Path("out")).values()]
        ['a.wav.wav', 'a.flac.wav', 'b.wav']
    """
    sounds = list(sounds)
    stems = {sound: sound.relative_to(source).with_suffix("").as_posix() for sound in sounds}
    claims = Counter(name for stem in stems.values() for name in _names(stem, endings))
    clear = [sound for sound in sounds if all(claims[name] == 1 for name in _names(stems[sound], endings))]
    taken = {name for sound in clear for name in _names(stems[sound], endings)}
    for sound in sounds:
        if sound in clear:
            continue
        whole = sound.relative_to(source).as_posix()
        tries = (whole, *(f"{whole}-{number}" for number in range(2, len(sounds) + 2)))
        stems[sound] = next(stem for stem in tries if taken.isdisjoint(_names(stem, endings)))
        taken.update(_names(stems[sound], endings))
    return {sound: output / f"{stem}.wav" for sound, stem in stems.items()}


def check_apart(read: Iterable[Path], written: Iterable[Path]) -> None:
    """Refuse to write over what is read, by whatever name: through links, or in another case of letters.

    Args:
        read: What a command reads.
        written: What it is about to write.

    Raises:
        ValueError: A file is in both; names it as it would be written.

    Examples:
        >>> import tempfile
        >>> take = Path(tempfile.mkdtemp()) / "take.wav"
        >>> take.touch()
        >>> check_apart([take], [take.with_name("guitar.wav")])
        >>> check_apart([take], [take.parent / "." / "take.wav"])
        Traceback (most recent call last):
        ValueError: ...take.wav would be written over, and is what is read: give another output.
    """
    kept = {(found.st_dev, found.st_ino) for path in read if (found := _status(path))}
    for path in written:
        if (found := _status(path)) and (found.st_dev, found.st_ino) in kept:
            raise ValueError(
                f"{printable(path)} would be written over, and is what is read: give another output."
            )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # what is not there is not overwritten
        return None


def _names(stem: str, endings: Sequence[str]) -> set[str]:
    return {f"{stem}{ending}".lower() for ending in endings}
