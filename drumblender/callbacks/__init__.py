"""Callbacks that read what steps return."""
