"""Refuses YAML that would take for ever to read: circles, and aliases that multiply."""

from pathlib import Path

import yaml

from drumblender.atomic import read_text

_MOST_NODES = 100_000  # configurations have hundreds
_MOST_BYTES = 10_000_000


def check_yaml(path: Path) -> None:
    """Make sure that a YAML file can be read, and is of a reasonable size with all its aliases written out.

    Raises:
        FileNotFoundError: There is none.
        ValueError: No regular file or no YAML, one that contains itself, or too much of it; names the file.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.yaml"
    >>> _ = file.write_text("a: &again [*again]")
    >>> check_yaml(file)
    Traceback (most recent call last):
    ValueError: ...a.yaml contains itself at line 1.
    """
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} is too large for a configuration ({path.stat().st_size / 1e6:.0f} MB).")
    try:
        root = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
        count = 0 if root is None else _count(root, path, {}, set())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for a configuration.") from error
    if count > _MOST_NODES:
        raise ValueError(f"{path} holds {count:.3g} values with its aliases written out: too many.")


def _count(node: yaml.Node, path: Path, known: dict[int, int], above: set[int]) -> int:
    """Values in a node with its aliases written out; each node is looked at once."""
    if id(node) in above:
        raise ValueError(f"{path} contains itself at line {node.start_mark.line + 1}.")
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_count(part, path, known, above | {id(node)}) for part in flat)
    return known[id(node)]
