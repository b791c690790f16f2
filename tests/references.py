"""Packages that results are compared with: absent ones skip their tests, but not where all are asked for."""

import os
from importlib import import_module
from types import ModuleType

import pytest


def reference(package: str) -> ModuleType:
    """The package. ``DRUMBLENDER_REFERENCES=all``, as ``.ci/run`` sets it, makes its absence an error."""
    if os.environ.get("DRUMBLENDER_REFERENCES") == "all":
        return import_module(package)
    return pytest.importorskip(package)
