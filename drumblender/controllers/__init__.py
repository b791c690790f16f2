"""Modules, batch -> named controls."""

from drumblender.controllers.analysed import AnalysedControls
from drumblender.controllers.free import FreeControls, ModeGains
from drumblender.controllers.heads import LinearHead, SplitHead
from drumblender.controllers.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import ParameterMapper

__all__ = [
    "AnalysedControls",
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
