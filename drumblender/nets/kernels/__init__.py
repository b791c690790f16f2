"""Compiled loops over time for narrow networks on the CPU."""
