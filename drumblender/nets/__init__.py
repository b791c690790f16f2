"""Torch blocks that know no audio."""

from drumblender.nets.attention import AttentionPooling
from drumblender.nets.conv import Pad, PaddedConv
from drumblender.nets.film import FiLM, TFiLM
from drumblender.nets.tcn import TCN, GatedActivation

__all__ = ["TCN", "AttentionPooling", "FiLM", "GatedActivation", "Pad", "PaddedConv", "TFiLM"]
