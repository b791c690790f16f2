"""Shape checks at run time, seeded draws, and the golden numbers where they lie beside the checkout."""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import jaxtyping
import pytest
from jaxtyping import install_import_hook

# Before anything of the package is imported: every annotated shape is checked in tests, and only there.
install_import_hook("drumblender", "shape_checks.check")


class CompiledAsWritten(PathFinder):
    """Hides kernels from the shape checks, which wrap every function: numba and Triton need them bare."""

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if not fullname.startswith(
            ("drumblender.dsp.kernels.", "drumblender.nets.cpu.", "drumblender.nets.cuda.")
        ):
            return None
        return super().find_spec(fullname, path, target)


sys.meta_path.insert(0, CompiledAsWritten)

import torch  # noqa: E402
from golden_case import Golden  # noqa: E402

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("MPLBACKEND", "agg")
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What a test printed may name a file that is no Unicode; workers can only send what is."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def golden():
    """Loads ``golden("drums", "modal_synth_phase")``; skips the test where the files are absent."""

    return Golden


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
