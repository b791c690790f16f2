"""Sine and cosine of turns on CUDA, in float32: minimax polynomials, with no branch and no reduction."""

import triton
from triton import language as tl

from drumblender.dsp.kernels.polynomials import COS_HALF_TURN, SIN_HALF_TURN

TWO_PI = tl.constexpr(6.283185307179586)
S0, S1, S2, S3, S4, S5 = (tl.constexpr(coefficient) for coefficient in SIN_HALF_TURN)
C0, C1, C2, C3, C4, C5, C6, C7 = (tl.constexpr(coefficient) for coefficient in COS_HALF_TURN)


@triton.jit
def sin_turns(x):
    """sin(2 pi x) for x in [-1/2, 1/2]."""
    t = x * x
    p = S4 + S5 * t
    p = S3 + p * t
    p = S2 + p * t
    p = S1 + p * t
    p = S0 + p * t
    return x * (0.25 - t) * p


@triton.jit
def cos_turns(x):
    """cos(2 pi x) for x in [-1/2, 1/2]."""
    t = x * x
    p = C6 + C7 * t
    p = C5 + p * t
    p = C4 + p * t
    p = C3 + p * t
    p = C2 + p * t
    p = C1 + p * t
    return C0 + p * t
