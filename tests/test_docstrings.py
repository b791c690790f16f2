"""Every example in a docstring runs, and gives what it says."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import drumblender

SKIPPED = ("_cuda", "__main__")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(drumblender.__path__, "drumblender.")
    if not module.name.endswith(SKIPPED)
]


@pytest.mark.parametrize("name", ["drumblender", *MODULES])
def test_examples_in_docstrings_run(name, unchecked, tmp_path, monkeypatch):
    module = import_module(name)
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testmod(module, optionflags=flags)
    assert not failed
