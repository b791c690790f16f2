"""Hydra apps that reproduce the papers' tables."""
