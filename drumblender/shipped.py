"""Where the files that travel with the package lie: ``cfg/`` and ``checkpoints/``.

A wheel carries both inside the package; in a checkout they stand beside it.
"""

from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent


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
    return found if found.exists() else None


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
