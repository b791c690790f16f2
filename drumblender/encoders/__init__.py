"""Modules, audio or features -> controls."""

from drumblender.encoders.base import Encoder
from drumblender.encoders.control_head import ControlHead, SplitHead
from drumblender.encoders.frame_rnn import MFCCEncoder, NoteEncoder
from drumblender.encoders.free import FreeControls, ModeGains
from drumblender.encoders.mapper import LinearMapping, Mapper, MLPMapping
from drumblender.encoders.onset_scale import OnsetScale
from drumblender.encoders.parameter_mapper import ParameterMapper
from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder

__all__ = [
    "ControlHead",
    "Encoder",
    "FreeControls",
    "LinearMapping",
    "MFCCEncoder",
    "MLPMapping",
    "Mapper",
    "ModeGains",
    "NoteEncoder",
    "OnsetScale",
    "ParameterMapper",
    "SoundStreamAttentionEncoder",
    "SoundStreamEncoder",
    "SplitHead",
]
