"""Experiments on pitch."""
