"""Tasks: LightningModules that join parts, step and log; and their voices, which play without Lightning.

Lightning is imported once a task is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from drumblender.tasks.played import DrumVoices, GuitarVoices, PitchVoices, RemapVoices, StringVoices
from drumblender.tasks.playing import Voices
from drumblender.tasks.voices import Voice

if TYPE_CHECKING:
    from drumblender.tasks.base import SynthesisTask
    from drumblender.tasks.drums import DrumTask
    from drumblender.tasks.guitar import GuitarTask
    from drumblender.tasks.pitch import PitchTask
    from drumblender.tasks.remap import RemapTask
    from drumblender.tasks.strings import StringTask

_TASKS = {
    "DrumTask": "drums",
    "GuitarTask": "guitar",
    "PitchTask": "pitch",
    "RemapTask": "remap",
    "StringTask": "strings",
    "SynthesisTask": "base",
}

__all__ = [
    "DrumTask",
    "DrumVoices",
    "GuitarTask",
    "GuitarVoices",
    "PitchTask",
    "PitchVoices",
    "RemapTask",
    "RemapVoices",
    "StringTask",
    "StringVoices",
    "SynthesisTask",
    "Voice",
    "Voices",
]


def __getattr__(name: str) -> object:
    """Import Lightning on first use."""
    if name in _TASKS:
        return getattr(import_module(f"drumblender.tasks.{_TASKS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
