"""Modules, audio -> features."""

from drumblender.features.modes import CQTModalAnalysis, NoModesError

__all__ = ["CQTModalAnalysis", "NoModesError"]
