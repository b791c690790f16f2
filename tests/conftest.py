"""Shape checks at run time, seeded draws, and the golden numbers where they lie beside the checkout."""

import json
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Before anything of the package is imported: every annotated shape is checked in tests, and only there.
install_import_hook("drumblender", "shape_checks.check")


class CompiledAsWritten(PathFinder):
    """Hides kernels from the shape checks, which wrap every function: numba and Triton need them bare."""

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if not fullname.startswith(("drumblender.dsp.kernels.", "drumblender.nets.cpu.")):
            return None
        return super().find_spec(fullname, path, target)


sys.meta_path.insert(0, CompiledAsWritten)

import torch  # noqa: E402

from drumblender.upgrade import of_today  # noqa: E402

GOLDEN = (Path(__file__).parent / "golden", Path(__file__).parents[2] / "shared" / "golden")
RECORDINGS = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("MPLBACKEND", "agg")
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Golden(dict):
    """One golden file: float arrays as tensors, strings as they are, ``config`` parsed."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            for key in arrays.files:
                value = arrays[key]
                self[key] = torch.from_numpy(value) if value.dtype.kind in "fiub" and value.ndim else value
        self.config = of_today(json.loads(str(self["config"]))) if "config" in self else {}

    def inputs(self) -> dict[str, torch.Tensor]:
        return {key.removeprefix("in_"): value for key, value in self.items() if key.startswith("in_")}


def golden_file(name: str) -> Path:
    """A golden file by ``system/name``, of the small ones that travel or of those beside the checkout."""
    for folder in GOLDEN:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not here")


@pytest.fixture
def golden():
    """Loads ``golden("drums", "modal_synth_phase")``; skips the test where the files are absent."""

    def load(system: str, name: str) -> Golden:
        return Golden(golden_file(f"{system}/{name}.npz"))

    return load


@pytest.fixture
def recordings():
    """The folder of real recordings of one kind (``drums``, ``voice``); skips the test where it is absent."""

    def folder(name: str) -> Path:
        if not (RECORDINGS / name).is_dir():
            pytest.skip(f"no recordings of {name} here")
        return RECORDINGS / name

    return folder


@pytest.fixture
def unchecked(monkeypatch):
    """Switches the shape checks off, so that the package's own errors show."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
