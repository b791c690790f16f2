"""Fused forward and adjoint loops: numba on the CPU, Triton on CUDA.

Nothing here is called by users: each op of :mod:`drumblender.dsp` picks its kernel by device and
falls back to its plain torch formula. Kernel modules are imported at first use, for numba and
Triton cost a second to import.
"""
