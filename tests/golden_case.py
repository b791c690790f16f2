"""A golden file, and what results may differ from it by: ``golden/tolerances.yaml``."""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from drumblender.upgrade import of_today

TRAVELLING = Path(__file__).parent / "golden"
FOLDERS = (TRAVELLING, Path(__file__).parents[2] / "shared" / "golden")
ENTRIES = yaml.safe_load((TRAVELLING / "tolerances.yaml").read_text())


class Golden(dict):
    """Float arrays of a file as tensors, strings as they are, ``config`` parsed; ``check`` compares."""

    def __init__(self, system: str, name: str) -> None:
        self.name = f"{system}/{name}"
        if name not in ENTRIES[system]:
            raise KeyError(f"{self.name} has no entry in tests/golden/tolerances.yaml; write one.")
        self.tolerances = {key: said for key, said in ENTRIES[system][name].items() if isinstance(said, str)}
        self.parameters = ENTRIES[system][name].get("parameters", {})
        with np.load(golden_file(f"{self.name}.npz")) as arrays:
            for key in arrays.files:
                value = arrays[key]
                self[key] = torch.from_numpy(value) if value.dtype.kind in "fiub" and value.ndim else value
        self.config = of_today(json.loads(str(self["config"]))) if "config" in self else {}

    def inputs(self) -> dict[str, Tensor]:
        return {key.removeprefix("in_"): value for key, value in self.items() if key.startswith("in_")}

    def tolerance(self, name: str) -> str:
        """What is said of an array: of it alone, of its like (``out_*_loss``), or of its kind (``out``)."""
        said = [key for key in self.tolerances if fnmatch(name, key) or name.startswith(f"{key}_")]
        if not said:
            raise KeyError(f"tolerances.yaml says of {self.name} nothing about {name}: {self.tolerances}.")
        return self.tolerances[max(said, key=len)]

    def number(self, name: str) -> float:
        """A tolerance of one measure, for what the test measures in its own way."""
        return float(self.tolerance(name).split()[1])

    def check(self, name: str, actual: Any, at: Any = ..., within: str | None = None) -> None:
        """Fails unless a result is the array ``name``, in float32 or (``ref64_*``) in float64.

        Args:
            name: Of the array, with its ``out_`` or ``grad_``.
            actual: What was computed, of its shape.
            at: The part of the array that is compared.
            within: Whose tolerance it keeps, if not that of ``name``.
        """
        actual = (actual if isinstance(actual, Tensor) else torch.from_numpy(np.asarray(actual))).detach()
        truths = [torch.as_tensor(self[key])[at] for key in (name, f"ref64_{name}") if key in self]
        assert actual.shape == truths[0].shape, (
            f"{name} of {self.name} has the shape {[*truths[0].shape]}, not {[*actual.shape]}."
        )
        for rule in self.tolerance(within or name).split(", "):
            measure, tolerance = (*rule.split(), "0")[:2]
            error = min(self._error(measure, actual.double(), truth.double()) for truth in truths)
            assert error <= float(tolerance), (
                f"{name} of {self.name} is off by {error:.3g} ({measure}); {tolerance} is allowed."
            )

    def _error(self, measure: str, actual: Tensor, expected: Tensor) -> float:
        apart, size = (actual - expected).abs(), expected.abs()
        if measure == "exact":
            return float((actual != expected).any())
        if measure == "l2":
            return (apart.norm() / (expected.norm() or 1)).item()
        if measure == "each":
            return torch.where(apart == 0, 0, apart / size).max().item()
        if measure == "max":
            return (apart.max() / (size.max() or 1)).item()
        if measure == "among":  # a gradient that vanishes is compared with the others of its file
            largest = max(value.abs().max() for key, value in self.items() if key.startswith("grad_"))
            return (apart.max() / max(size.max(), 0.01 * largest)).item()
        assert measure == "abs", f"No measure {measure} is known."
        return apart.max().item()


def golden_file(name: str) -> Path:
    """A golden file by ``system/name.npz``, of the small ones that travel or of those beside the checkout."""
    for folder in FOLDERS:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not here")
