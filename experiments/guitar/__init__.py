"""Timbre transfer: whether the guitar follows the voice, and what training adds to its table."""
