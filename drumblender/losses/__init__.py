"""Modules, (prediction, target) -> scalar."""
