"""What a page shows of controls over time: lines of a few, pictures of many, numbers of what is held."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from drumblender.callbacks.controls import read_controls

_LINES = 4  # more numbers than these are a picture
_POINTS = 160  # of a line, and columns of a picture
_DECADES = 3  # below the highest, of a picture of what reaches over more than two


def show_controls(path: Path, pictures: Path, stem: str) -> list[dict[str, Any]]:
    """What the page knows of each control of an item.

    Args:
        path: The file that the test wrote.
        pictures: Folder of the pictures that are drawn.
        stem: What their names begin with.

    Returns:
        For each control its name, lowest and highest value and number of numbers; then either its ``values``
        (held over time, or all alike), its ``lines`` (SVG points in a box of 100 x 100, a line for each
        number), or the name of its ``image`` (a row for each number, the first at the bottom, dark to light
        from the lowest to the highest; ``log``: evenly in ratios).

    Raises:
        ValueError: The file is damaged.
    """
    shown = []
    for number, (name, value) in enumerate(read_controls(path).items()):
        value = np.nan_to_num(value)
        if not value.size:
            continue
        low, high = float(value.min()), float(value.max())
        known: dict[str, Any] = {"name": name, "low": low, "high": high, "size": value.shape[1]}
        if low == high:
            known["values"] = [low]
        elif len(value) == 1 and value.shape[1] <= _LINES:
            known["values"] = [float(one) for one in value[0]]
        elif value.shape[1] <= _LINES:
            known["lines"] = [_points(line, low, high) for line in value.T]
        else:
            known["image"] = f"{stem}-control{number}.png"
            least = float(value[value > 0].min(initial=np.inf))
            known["log"] = low >= 0 and high > 100 * least
            if known["log"]:
                value = np.log10(np.maximum(value, max(least, high * 10**-_DECADES)))
            _draw(pictures / known["image"], value)
        shown.append(known)
    return shown


def _points(line: Float[np.ndarray, "frames"], low: float, high: float) -> str:
    """A line for an SVG polyline, from the left edge to the right, 100 down where it is lowest."""
    kept = line[np.linspace(0, len(line) - 1, min(len(line), _POINTS)).round().astype(int)]
    xs = np.linspace(0, 100, len(kept))
    ys = 100 - 100 * (kept - low) / max(high - low, 1e-12)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


def _draw(path: Path, value: Float[np.ndarray, "frames size"]) -> None:
    from matplotlib import colormaps  # slow to import
    from PIL import Image

    columns = np.linspace(0, len(value) - 1, min(len(value), _POINTS)).round().astype(int)
    shade = (value[columns].T[::-1] - value.min()) / max(np.ptp(value), 1e-12)
    colours = (colormaps["viridis"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    image = Image.fromarray((shade * 255).astype(np.uint8), mode="P")
    image.putpalette(colours.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
