"""Modules, batch -> named controls."""

from drumblender.controllers.analysed import AnalysedControls
from drumblender.controllers.base import Controller
from drumblender.controllers.corrected import CorrectedSpectra, measured_frames
from drumblender.controllers.exp_sigmoid import ExpSigmoidHead
from drumblender.controllers.free import FreeControls
from drumblender.controllers.given import GivenControls, ModeGains
from drumblender.controllers.harmonic import HarmonicControls
from drumblender.controllers.heads import Head, LinearHead, SplitHead
from drumblender.controllers.heard import HeardControls
from drumblender.controllers.mapped import MappedControls
from drumblender.controllers.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import ParameterMapper
from drumblender.controllers.pitch_head import PitchHead
from drumblender.controllers.spectrum_table import KernelSpectra, SpectrumTable
from drumblender.controllers.stiffness_table import StiffnessTable

__all__ = [
    "AnalysedControls",
    "Controller",
    "CorrectedSpectra",
    "ExpSigmoidHead",
    "FreeControls",
    "GivenControls",
    "HarmonicControls",
    "Head",
    "HeardControls",
    "KernelSpectra",
    "LinearHead",
    "LinearMapping",
    "MLPMapping",
    "MappedControls",
    "Mapper",
    "ModeGains",
    "OnsetScale",
    "ParameterMapper",
    "PitchHead",
    "SpectrumTable",
    "SplitHead",
    "StiffnessTable",
    "measured_frames",
]
