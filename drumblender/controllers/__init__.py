"""Modules, batch -> named controls."""

from drumblender.controllers.free import FreeControls, ModeGains
from drumblender.controllers.heads import LinearHead, SplitHead
from drumblender.controllers.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import ParameterMapper
from drumblender.controllers.pitch_head import PitchHead

__all__ = [
    "PitchHead",
    "FreeControls",
    "LinearHead",
    "LinearMapping",
    "MLPMapping",
    "Mapper",
    "ModeGains",
    "OnsetScale",
    "ParameterMapper",
    "SplitHead",
]
