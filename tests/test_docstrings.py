"""Everything public has an example in its docstring; every example runs, and gives what it says."""

import doctest
import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import drumblender
import drumblender.dsp

SKIPPED = ("_cuda", "__main__")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(drumblender.__path__, "drumblender.")
    if not module.name.endswith(SKIPPED)
]
PARTS = (
    *("callbacks", "controllers", "data", "encoders", "features", "losses", "metrics", "nets", "synths"),
    "tasks",
)
FOR_LIGHTNING = "drumblender.data.modules"  # shown where the data are that they are made of
OPS = [f"drumblender.dsp.{found.name}" for found in pkgutil.iter_modules(drumblender.dsp.__path__)]


@pytest.mark.parametrize("name", ["drumblender", *MODULES])
def test_examples_in_docstrings_run(name, unchecked, tmp_path, monkeypatch):
    module = import_module(name)
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testmod(module, optionflags=flags)
    assert not failed


@pytest.mark.parametrize("part", PARTS)
def test_every_name_of_a_part_has_an_example(part):
    package = import_module(f"drumblender.{part}")
    assert lacking([getattr(package, name) for name in package.__all__]) == []


def test_every_name_of_the_face_has_an_example():
    face = [getattr(drumblender, name) for name in drumblender.__all__]
    assert lacking([thing for thing in face if callable(thing)]) == []


@pytest.mark.parametrize("name", [name for name in OPS if name != "drumblender.dsp.kernels"])
def test_every_public_op_has_an_example(name):
    assert lacking(public(import_module(name))) == []


def public(module: ModuleType) -> list[object]:
    """What a module defines for others; a plain formula shows itself in the op that it explains."""
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and "plain" not in name.split("_")
        and (inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value)))
        and value.__module__ == module.__name__
    ]


def lacking(things: list[object]) -> list[str]:
    """Names of those in whose docstring doctest finds no example where they are defined."""
    finder = doctest.DocTestFinder()
    modules = {thing.__module__ for thing in things}
    shown = {test.name for name in modules for test in finder.find(import_module(name)) if test.examples}
    names = {f"{thing.__module__}.{thing.__name__}" for thing in things if thing.__module__ != FOR_LIGHTNING}
    return sorted(names - shown)
