"""Modules, audio -> features."""
