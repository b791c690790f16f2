"""Modules, batch -> named controls."""

from drumblender.controllers.analysed import AnalysedControls
from drumblender.controllers.base import Controller
from drumblender.controllers.free import FreeControls
from drumblender.controllers.given import GivenControls, ModeGains
from drumblender.controllers.heads import Head, LinearHead, SplitHead
from drumblender.controllers.heard import HeardControls
from drumblender.controllers.mapped import MappedControls
from drumblender.controllers.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import ParameterMapper
from drumblender.controllers.pitch_head import PitchHead

__all__ = [
    "Controller",
    "AnalysedControls",
    "PitchHead",
    "FreeControls",
    "GivenControls",
    "Head",
    "HeardControls",
    "LinearHead",
    "LinearMapping",
    "MLPMapping",
    "MappedControls",
    "Mapper",
    "ModeGains",
    "OnsetScale",
    "ParameterMapper",
    "SplitHead",
]
