"""Modules, audio or features -> controls."""

from drumblender.encoders.base import Encoder
from drumblender.encoders.control_head import ControlHead, SplitHead
from drumblender.encoders.free import FreeControls, ModeGains
from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder

__all__ = [
    "ControlHead",
    "Encoder",
    "FreeControls",
    "ModeGains",
    "SoundStreamAttentionEncoder",
    "SoundStreamEncoder",
    "SplitHead",
]
