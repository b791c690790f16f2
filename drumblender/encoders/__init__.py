"""Modules, audio or features -> controls."""
