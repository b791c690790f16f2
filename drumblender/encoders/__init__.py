"""Modules, fields of a batch -> features a frame."""

from drumblender.encoders.base import Encoder
from drumblender.encoders.control_decoder import ControlEncoder, ControlGRU, ControlTransformer
from drumblender.encoders.frame_rnn import MFCCEncoder, NoteEncoder
from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder

__all__ = [
    "ControlEncoder",
    "ControlGRU",
    "ControlTransformer",
    "Encoder",
    "MFCCEncoder",
    "NoteEncoder",
    "SoundStreamAttentionEncoder",
    "SoundStreamEncoder",
]
