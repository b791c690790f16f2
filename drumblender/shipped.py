"""Where the files that travel with the package lie, ``cfg/`` and ``checkpoints/``, and what the latter holds.

A wheel carries both inside the package; in a checkout they stand beside it.
"""

import operator
import re
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from functools import cache, reduce
from pathlib import Path
from types import UnionType
from typing import Any, get_origin

import yaml

from drumblender.atomic import sha256_of

INDEX = "index.yaml"
_PACKAGE = Path(__file__).parent
_KINDS = {str: str, int: int, float: int | float, UnionType: str | None}  # what stands for a type in YAML
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is ten times as fast, where it is built
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,63}")


def shipped_dir(name: str) -> Path:
    """The folder ``cfg`` or ``checkpoints``.

    Raises:
        FileNotFoundError: The installation is damaged: the folder is in neither place.
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"No {name}/ in {_PACKAGE} or {_PACKAGE.parent}. Reinstall drumblender.")


def find_shipped(path: str) -> Path | None:
    """The shipped file that, say, ``cfg/drums.yaml`` names from any folder; None when there is none."""
    root, _, rest = path.replace("\\", "/").partition("/")
    if root not in ("cfg", "checkpoints") or not rest:
        return None
    found = shipped_dir(root) / rest
    return found if found.is_file() else None


@cache
def name_shipped_parts() -> None:
    """Let ``cfg/...yaml`` name the shipped file inside configurations too, wherever they lie.

    A file of that path beside the configuration comes first: jsonargparse reads each in its own folder.
    """
    from jsonargparse import get_loader, set_loader  # slow to import
    from yaml import YAMLError

    load = get_loader("yaml")
    set_loader("yaml", lambda text: _with_shipped(load(text)), exceptions=(YAMLError,))


def _with_shipped(value: Any) -> Any:
    """The same mappings and lists, with shipped files where they name no file of the user's."""
    if isinstance(value, dict):
        return {key: _with_shipped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_shipped(item) for item in value]
    if not isinstance(value, str) or not value.endswith((".yaml", ".yml")) or Path(value).exists():
        return value
    return str(find_shipped(value) or value)


@dataclass(frozen=True)
class Shipped:
    """A row of ``checkpoints/index.yaml``: trained weights by name.

    Args:
        name: What users call it.
        system: The word of its task, such as ``drums``.
        file: Its name in ``checkpoints/``.
        sha256: Digest of the file.
        size: Bytes of the file.
        data: What it was trained with.
        licence: Of the weights.
        trained: How: ``command``, ``hardware``, ``seconds``, ``seed``.
        metrics: On items left out of training, by measure.
        baselines: The same measures of what needs no training, by name.
        render: Seconds of sound that it makes in a second of one core.
        check: What it makes of a fixed sound, as :func:`drumblender.inference.probe.probed` measures.
        url: Where it is fetched from, if the package does not carry it: ``https://...`` or ``hf://...``.
        family: The folder of ``checkpoints/`` where it lies beside many of its kind, which share a card.
    """

    name: str
    system: str
    file: str
    sha256: str
    size: int
    data: str
    licence: str
    trained: dict[str, Any]
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    render: float = 0.0
    check: dict[str, float] = field(default_factory=dict)
    url: str | None = None
    family: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or Path(self.file).name != self.file:
            raise ValueError(f"{self.name[:70]!r}: name and file ({self.file[:70]!r}) are plain names.")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name}: sha256 is {self.sha256[:70]!r}, no digest.")

    @property
    def path(self) -> Path:
        """Where the package would carry it."""
        return shipped_dir("checkpoints") / self.family / self.file

    @property
    def card(self) -> Path:
        """Where it is described: data and licences, figures, limits."""
        return shipped_dir("checkpoints") / f"{self.family or self.name}.md"

    def check_digest(self, path: Path) -> None:
        """Make sure that a file is the one that the index tells of.

        Raises:
            ValueError: It is another.
        """
        if path.stat().st_size != self.size or sha256_of(path) != self.sha256:
            raise ValueError(
                f"{path} is not the checkpoint {self.name} that the index tells of (other sha256): "
                f"{'reinstall drumblender' if self.url is None else 'remove it, and it is fetched anew'}."
            )


def read_index(path: Path | None = None) -> dict[str, Shipped]:
    """The checkpoints that travel with the package, by name.

    An index has a row for each. That of a family, ``checkpoints/FAMILY/index.yaml``, has ``rows``, and what
    all of them have in common as ``shared``.

    Args:
        path: An index; by default those of the package.

    Raises:
        ValueError: It is no index, or a row lacks something or says what is not known.
    """
    if path is None:
        folder = shipped_dir("checkpoints")
        families = [read_index(index) for index in sorted(folder.glob(f"*/{INDEX}"))]
        return reduce(operator.or_, families, read_index(folder / INDEX))
    try:
        rows = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"No index of checkpoints, {path}: reinstall drumblender.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML.") from error
    shared: Any = {}
    if isinstance(rows, dict) and set(rows) == {"shared", "rows"}:
        shared, rows = rows["shared"], rows["rows"]
    if not all(isinstance(part, dict) for part in (rows, shared)) or not all(
        isinstance(row, dict) for row in rows.values()
    ):
        raise ValueError(f"{path} is no index of checkpoints: it holds no rows by name.")
    family = {"family": path.parent.name} if shared else {}
    found = {}
    for name, row in rows.items():
        _check_row(shared | row, f"{path}, {name}")
        try:
            found[str(name)] = Shipped(name=str(name), **shared | row, **family)
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from error
    return found


def _check_row(row: dict[str, Any], where: str) -> None:
    parts = {part.name: part for part in fields(Shipped) if part.name not in ("name", "family")}
    needed = {name for name, part in parts.items() if part.default is part.default_factory is MISSING}
    for name, part in parts.items():
        kind = _KINDS.get(get_origin(part.type) or part.type, dict)
        if name in row and not isinstance(row[name], kind):
            raise ValueError(f"{where}: {name} is {repr(row[name])[:50]}.")
    if wrong := sorted({*map(str, set(row) - set(parts)), *(needed - set(row))}):
        said = "unknown" if wrong[0] in map(str, row) else "missing"
        raise ValueError(f"{where}: {wrong[0]} is {said}.")


def shipped_row(name: str) -> Shipped | None:
    """The row that ``checkpoints/NAME``, ``NAME`` or ``NAME.ckpt`` names, or None."""
    name = name.replace("\\", "/").removeprefix("checkpoints/").removesuffix(".ckpt")
    return read_index().get(name) if _NAME.fullmatch(name) else None


def no_such_checkpoint(name: str) -> str:
    """What to tell of a name that is no file and in no index, with what is meant perhaps."""
    names = list(read_index())
    if many := [row.name for row in read_index().values() if row.family == Path(name).name != ""]:
        return f"{name} is a family of {len(many)} checkpoints, such as {many[0]}: name one."
    close = get_close_matches(Path(name).stem, names, n=2, cutoff=0.5)
    meant = f": did you mean {' or '.join(close)}?" if close else "."
    return f"No checkpoint {name}{meant} `drumblender checkpoints` lists those that ship."
