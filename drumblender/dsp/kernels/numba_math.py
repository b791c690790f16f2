"""Arithmetic that the compiled loops share: sines, exponentials, one step of a second-order filter.

What is inlined is compiled under the flags of its caller.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from drumblender.dsp.kernels.jit import jit, part
from drumblender.dsp.kernels.polynomials import COS_HALF_TURN, SIN_HALF_TURN, SIN_QUARTER_TURN

F32 = np.float32
_SIN, _COS = tuple(map(F32, SIN_HALF_TURN)), tuple(map(F32, COS_HALF_TURN))
_TAYLOR = SIN_QUARTER_TURN
_QUARTER, _HALF, _ONE = F32(0.25), F32(0.5), F32(1)
_EXP = tuple(1.0 / math.factorial(k) for k in range(14))
_SQRT_HALF_BITS, _MANTISSA = np.int32(0x3F3504F3), np.int32(0x007FFFFF)
_LOG2_E, _LN2 = F32(1 / math.log(2)), F32(math.log(2))
_WIDE_LOG2_E, _LN2_HIGH, _LN2_LOW = (
    1.0 / math.log(2.0),
    6.93147180369123816490e-01,
    1.90821492927058770002e-10,
)


@jit(inline=True)
def sin_half_turn(x):
    """sin(2 pi x) in float32, for x in [-1/2, 1/2]."""
    t = x * x
    p = _SIN[4] + _SIN[5] * t
    p = _SIN[3] + p * t
    p = _SIN[2] + p * t
    p = _SIN[1] + p * t
    p = _SIN[0] + p * t
    return x * (_QUARTER - t) * p


@jit(inline=True)
def cos_half_turn(x):
    """cos(2 pi x) in float32, for x in [-1/2, 1/2]."""
    t = x * x
    p = _COS[6] + _COS[7] * t
    p = _COS[5] + p * t
    p = _COS[4] + p * t
    p = _COS[3] + p * t
    p = _COS[2] + p * t
    p = _COS[1] + p * t
    return _COS[0] + p * t


@jit(inline=True)
def _sin_quarter_turn(turns):
    square = turns * turns
    value = _TAYLOR[9]
    value = value * square + _TAYLOR[8]
    value = value * square + _TAYLOR[7]
    value = value * square + _TAYLOR[6]
    value = value * square + _TAYLOR[5]
    value = value * square + _TAYLOR[4]
    value = value * square + _TAYLOR[3]
    value = value * square + _TAYLOR[2]
    value = value * square + _TAYLOR[1]
    value = value * square + _TAYLOR[0]
    return value * turns


@jit(inline=True)
def sin_turns(turns):
    """sin(2 pi turns) to the precision of a double, for any number of turns."""
    turns = turns - np.floor(turns + 0.5)
    size = abs(turns)
    folded = 0.25 - abs(size - 0.25)
    return _sin_quarter_turn(math.copysign(folded, turns))


@jit(inline=True)
def cos_turns(turns):
    """cos(2 pi turns) to the precision of a double, for any number of turns."""
    turns = turns - np.floor(turns + 0.5)
    return _sin_quarter_turn(0.25 - abs(turns))


@jit(inline=True)
def powers_of_two(x):
    """The number n of powers of two in exp(x), and what is left: ``exp(x) = 2 ** n * exp_rest(rest)``."""
    whole = np.floor(x * _WIDE_LOG2_E + 0.5)
    return whole, (x - whole * _LN2_HIGH) - whole * _LN2_LOW


@jit(inline=True)
def exp_rest(r):
    """exp(r) to the precision of a double, for r of at most ln(2) / 2 in size: Taylor to degree 13."""
    value = _EXP[13]
    value = value * r + _EXP[12]
    value = value * r + _EXP[11]
    value = value * r + _EXP[10]
    value = value * r + _EXP[9]
    value = value * r + _EXP[8]
    value = value * r + _EXP[7]
    value = value * r + _EXP[6]
    value = value * r + _EXP[5]
    value = value * r + _EXP[4]
    value = value * r + _EXP[3]
    value = value * r + _EXP[2]
    value = value * r + _EXP[1]
    return value * r + _EXP[0]


@part
def exp_below_0(x):
    """exp(x) in float32 of x <= 0, to about 1 ulp; 1e-38 where it is less."""
    x = max(x, F32(-87))
    power = np.int32(x * _LOG2_E - _HALF)
    x -= F32(power) * _LN2  # in half a ln(2) around 0
    poly = F32(1 / 720)
    poly = poly * x + F32(1 / 120)
    poly = poly * x + F32(1 / 24)
    poly = poly * x + F32(1 / 6)
    poly = poly * x + _HALF
    poly = poly * x + _ONE
    poly = poly * x + _ONE
    return poly * float_of_bits((power + np.int32(127)) << np.int32(23))


@jit(inline=True)
def log_above_0(x):
    """Natural logarithm in float32 of a positive, normal x, to about 1 ulp."""
    shifted = np.int32(bits_of_float(x) - _SQRT_HALF_BITS)  # numba would go on in 64 bits: half the lanes
    power = np.int32(shifted >> np.int32(23))
    x = float_of_bits(np.int32(np.int32(shifted & _MANTISSA) + _SQRT_HALF_BITS)) - _ONE
    poly = F32(7.0376836292e-2)  # of Cephes, for 1 + x in [sqrt(1/2), sqrt(2))
    poly = poly * x + F32(-1.1514610310e-1)
    poly = poly * x + F32(1.1676998740e-1)
    poly = poly * x + F32(-1.2420140846e-1)
    poly = poly * x + F32(1.4249322787e-1)
    poly = poly * x + F32(-1.6668057665e-1)
    poly = poly * x + F32(2.0000714765e-1)
    poly = poly * x + F32(-2.4999993993e-1)
    poly = poly * x + F32(3.3333331174e-1)
    square = x * x
    return F32(power) * _LN2 + (x + square * (x * poly - _HALF))


@jit(inline=True)
def biquad_step(x0, x1, x2, y1, y2, b0, b1, b2, a1, a2):
    """The next output of a biquad in direct form: the newest is multiplied last, so little waits for it."""
    return (b0 * x0 + b1 * x1 + b2 * x2 - a2 * y2) - a1 * y1


@jit(inline=True)
def biquad_turn(x, s1, s2, b0, b1, b2, a1, a2):
    """The output of a biquad in transposed form, and its two memories after it."""
    y = b0 * x + s1
    return y, b1 * x - a1 * y + s2, b2 * x - a2 * y


@intrinsic
def float_of_bits(typing, bits):
    """The float32 whose bits an int32 has."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), build


@intrinsic
def bits_of_float(typing, value):
    """The bits of a float32 as an int32."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), build
