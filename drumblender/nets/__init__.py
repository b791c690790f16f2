"""Torch blocks that know no audio."""
