"""Modules, fields of a batch -> features a frame."""

from drumblender.encoders.bands import BandEncoder
from drumblender.encoders.base import Encoder
from drumblender.encoders.frame_rnn import MFCCEncoder, NoteEncoder
from drumblender.encoders.pitch_cnn import PitchCNN
from drumblender.encoders.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder

__all__ = [
    "BandEncoder",
    "Encoder",
    "MFCCEncoder",
    "NoteEncoder",
    "PitchCNN",
    "SoundStreamAttentionEncoder",
    "SoundStreamEncoder",
]
