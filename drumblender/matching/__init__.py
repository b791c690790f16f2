"""Fit one sound without training."""
