"""Modules, controls -> audio."""
