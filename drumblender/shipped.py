"""Where the files that travel with the package lie: ``cfg/`` and ``checkpoints/``.

A wheel carries both inside the package; in a checkout they stand beside it.
"""

from pathlib import Path

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
