"""How well a model that follows features does so, feature by feature, beside what its synth could do."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.callbacks.picture import PREDICTION_COLOUR, TARGET_COLOUR
from drumblender.metrics.features import RankCorrelation, Slope
from drumblender.types import FollowsFeatures, Reach

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEARCHED = 32  # hits of a test whose own optimum is looked for: half a second of a core each
_NEAR = 0.5  # of the preset's error: an optimum that stays above it has not followed
_COLUMNS = 4
_WITHIN = "within reach"


class Hits(NamedTuple):
    """Differences of the features of hits: wanted, played, and those of the direct search, NaN where none
    was made."""

    wanted: Float[Tensor, "hits features"]
    played: Float[Tensor, "hits features"]
    direct: Float[Tensor, "hits features"]


def hits_of(task: FollowsFeatures, outputs: dict[str, Tensor], batch: Any, searched: int) -> Hits:
    """What a step returned, with the direct optimum of the first hits while fewer than 32 were
    ``searched``."""
    wanted, played = outputs["target_difference"].float().cpu(), outputs["difference"].float().cpu()
    direct = torch.full_like(wanted, torch.nan)
    if left := max(0, min(len(wanted), _SEARCHED - searched)):
        found = task.direct({key: value[:left] for key, value in batch.items()})
        if found is not None:
            direct[:left] = found.float().cpu()
    return Hits(wanted, played, direct)


def joined(parts: Sequence[Hits]) -> Hits:
    """One after the other."""
    return Hits(*(torch.cat(each) for each in zip(*parts, strict=True)))


def widened(reach: Reach | None, hits: Hits) -> Reach | None:
    """Draws miss corners: what was played, or found by a search, is in reach too."""
    if reach is None:
        return None
    seen = torch.cat([hits.played, hits.direct]).nan_to_num()  # 0, the preset, is always in reach
    low, high = (limit.float().cpu() for limit in reach)
    return Reach(torch.minimum(low, seen.amin(dim=0)), torch.maximum(high, seen.amax(dim=0)))


def follow_table(task: FollowsFeatures, hits: Hits, reach: Reach | None) -> list[dict[str, Any]]:
    """A row for each feature; ``error``, ``preset_error`` and ``bound_error`` are mean absolute ones.

    ``bound_error`` is that of the search for each hit alone, all features at once. ``beyond`` counts the hits
    that want more than the feature can do even alone.
    """
    rows = []
    for place, label in enumerate(task.labels):
        wanted, played, direct = (part[:, place] for part in hits)
        rank, slope = RankCorrelation(), Slope()
        rank.update(played, wanted)
        slope.update(played, wanted)
        row = {
            "feature": label,
            "hits": len(wanted),
            "rho": rank.compute().item(),
            "slope": slope.compute().item(),
            "error": (played - wanted).abs().mean().item(),
            "preset_error": wanted.abs().mean().item(),
            "wanted_low": wanted.min().item(),
            "wanted_high": wanted.max().item(),
        }
        if reach is not None:
            row |= _bounds(wanted, direct, reach.low[place], reach.high[place])
        rows.append(row | _in_hz(task, label, wanted, played, row))
    return rows


def _bounds(wanted: Tensor, direct: Tensor, low: Tensor, high: Tensor) -> dict[str, Any]:
    beyond = int(((wanted < low) | (wanted > high)).sum())
    found = direct.isfinite()
    bound, still = (direct - wanted).abs()[found].mean(), wanted[found].abs().mean()
    verdict = _WITHIN
    if 2 * beyond > len(wanted):
        verdict = "out of reach"
    elif bound > _NEAR * still:
        verdict = "in reach alone, not with the others"
    return {
        "bound_error": bound.item(),
        "bound_hits": int(found.sum()),
        "reach_low": low.item(),
        "reach_high": high.item(),
        "beyond": beyond,
        "verdict": verdict,
    }


def _in_hz(
    task: FollowsFeatures, label: str, wanted: Tensor, played: Tensor, row: dict[str, Any]
) -> dict[str, float]:
    """Of a spectral centroid, the same in Hz."""
    limits = [row[key] for key in ("wanted_low", "wanted_high", "reach_low", "reach_high") if key in row]
    found = task.in_hz(label, torch.tensor([0.0, *limits]))
    if found is None:
        return {}
    names = ["preset_hz", "wanted_low_hz", "wanted_high_hz", "reach_low_hz", "reach_high_hz"]
    error = (task.in_hz(label, played) - task.in_hz(label, wanted)).abs().mean()
    return {"error_hz": error.item()} | dict(zip(names, found.tolist(), strict=False))


def follow_told(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The table as lines to show."""
    heads = [("rho", 6), ("slope", 6), ("error", 9), ("preset", 9), ("bound", 9)]
    lines = [("", "".join(f"{head:>{width}}" for head, width in heads) + f"{'wanted':>23}{'reach':>23}")]
    for row in rows:
        values = [f"{row['rho']:6.2f}{row['slope']:6.2f}{row['error']:9.3g}{row['preset_error']:9.3g}"]
        values.append(f"{row.get('bound_error', float('nan')):9.3g}")
        values.append(f"{_span(row, 'wanted'):>23}{_span(row, 'reach'):>23}")
        lines.append((row["feature"], "".join(values)))
        if "preset_hz" in row:
            spans = f"{_span(row, 'wanted', '_hz'):>23}{_span(row, 'reach', '_hz'):>23}"
            preset = f"{row['preset_hz']:9.0f}"
            lines.append(("in Hz", f"{'':12}{row['error_hz']:9.0f}{preset}{'':9}{spans}"))
        if row.get("verdict", _WITHIN) != _WITHIN:
            lines.append(
                ("", f"  {row['verdict']}: {row['beyond']} of {row['hits']} hits want more than its reach")
            )
    return lines


def _span(row: dict[str, Any], what: str, unit: str = "") -> str:
    if f"{what}_low{unit}" not in row:
        return ""
    low, high = row[f"{what}_low{unit}"], row[f"{what}_high{unit}"]
    return f"{low:.0f} to {high:.0f}" if unit else f"{low:+.3g} to {high:+.3g}"


def write_followed(
    folder: Path, task: FollowsFeatures, rows: list[dict[str, Any]], hits: Hits, reach: Reach | None
) -> None:
    """``features.csv`` and ``features.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "features.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)
    from matplotlib.figure import Figure  # slow to import

    across = min(_COLUMNS, len(rows))
    down = -(-len(rows) // across)
    figure = Figure(figsize=(3.1 * across, 3.2 * down + 0.4), layout="constrained", facecolor="white")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for place, (axes, row) in enumerate(zip(panels, rows, strict=False)):
        band = None if reach is None else (float(reach.low[place]), float(reach.high[place]))
        _draw(axes, row, [part[:, place] for part in hits], band)
        _mark_hz(axes, task, row["feature"])
    for axes in panels[len(rows) :]:
        axes.remove()
    panels[0].legend(fontsize=7, frameon=False, loc="upper left")
    figure.supxlabel("wanted, less the reference hit", fontsize=9)
    figure.supylabel("played, less the preset", fontsize=9)
    figure.savefig(folder / "features.png", dpi=150)


def _draw(axes: "Axes", row: dict[str, Any], parts: list[Tensor], band: tuple[float, float] | None) -> None:
    wanted, played, direct = parts
    shown = torch.cat([wanted, played, direct[direct.isfinite()], torch.zeros(1)])
    shown = shown[shown.isfinite()]
    margin = 0.06 * float(shown.max() - shown.min()) or 1.0
    low, high = float(shown.min()) - margin, float(shown.max()) + margin
    if band is not None:
        axes.axhspan(*band, color=TARGET_COLOUR, alpha=0.1, linewidth=0, label="reach")
    axes.plot([low, high], [low, high], color="#888888", linewidth=0.8, linestyle="--")
    axes.plot(wanted, direct, "o", mfc="none", color=TARGET_COLOUR, markersize=5, label="searched hit by hit")
    axes.plot(wanted, played, "o", color=PREDICTION_COLOUR, markersize=3.5, label="model")
    axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    axes.tick_params(labelsize=7, length=2, color="#888888")
    verdict = row.get("verdict", _WITHIN)
    axes.set_title(f"{row['feature']}\nrho {row['rho']:.2f}, slope {row['slope']:.2f}", fontsize=8)
    if verdict != _WITHIN:
        axes.set_xlabel(verdict, fontsize=7, color=PREDICTION_COLOUR)


def _mark_hz(axes: "Axes", task: FollowsFeatures, label: str) -> None:
    """Hz on the right of a spectral centroid."""
    low, high = axes.get_ylim()
    ticks = torch.tensor([tick for tick in axes.get_yticks() if low <= tick <= high])
    hz = task.in_hz(label, ticks)
    if hz is not None:
        right = axes.secondary_yaxis("right")
        right.set_yticks(ticks.tolist(), [f"{each:.0f}" for each in hz.tolist()])
        right.tick_params(labelsize=6, length=2, color="#888888")
        right.set_ylabel("Hz", fontsize=7)
