"""Modules, fields of a batch -> features a frame."""

from drumblender.encoders.bands import BandEncoder
from drumblender.encoders.base import Encoder
from drumblender.encoders.control_decoder import ControlEncoder, ControlGRU, ControlTransformer
from drumblender.encoders.frame_rnn import MFCCEncoder, NoteEncoder
from drumblender.encoders.pitch_cnn import PitchCNN
from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder

__all__ = [
    "BandEncoder",
    "ControlEncoder",
    "ControlGRU",
    "ControlTransformer",
    "Encoder",
    "MFCCEncoder",
    "NoteEncoder",
    "PitchCNN",
    "SoundStreamAttentionEncoder",
    "SoundStreamEncoder",
]
