"""Checkpoints and configurations of the five original code bases."""
