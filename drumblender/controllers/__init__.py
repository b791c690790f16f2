"""Modules, batch -> named controls."""

from drumblender.controllers.base import Controller
from drumblender.controllers.corrected import CorrectedSpectra, measured_frames
from drumblender.controllers.exp_sigmoid import ExpSigmoidHead
from drumblender.controllers.free import FreeControls, ModeGains
from drumblender.controllers.harmonic import HarmonicControls
from drumblender.controllers.heads import LinearHead, SplitHead
from drumblender.controllers.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import ParameterMapper
from drumblender.controllers.spectrum_table import KernelSpectra, SpectrumTable

__all__ = [
    "CorrectedSpectra",
    "KernelSpectra",
    "SpectrumTable",
    "measured_frames",
    "Controller",
    "ExpSigmoidHead",
    "FreeControls",
    "HarmonicControls",
    "LinearHead",
    "LinearMapping",
    "MLPMapping",
    "Mapper",
    "ModeGains",
    "OnsetScale",
    "ParameterMapper",
    "SplitHead",
]
