"""LightningModules: join parts, step, log."""

from drumblender.tasks.base import SynthesisTask
from drumblender.tasks.drums import DrumTask
from drumblender.tasks.guitar import GuitarTask
from drumblender.tasks.pitch import PitchTask
from drumblender.tasks.remap import RemapTask
from drumblender.tasks.strings import StringTask
from drumblender.tasks.voices import Voice

__all__ = [
    "DrumTask",
    "PitchTask",
    "GuitarTask",
    "RemapTask",
    "StringTask",
    "SynthesisTask",
    "Voice",
]
