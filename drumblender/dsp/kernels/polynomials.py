"""Coefficients of sines that loops evaluate by themselves: a call into a library would keep them scalar."""

import math

# Minimax in x^2 for x in [-1/2, 1/2] turns: sin(2 pi x) = x (1/4 - x^2) S(x^2) and cos(2 pi x) = C(x^2), each
# within 2e-9 before rounding to float32. The factor 1/4 - x^2 makes half a turn an exact zero.
SIN_HALF_TURN = (25.13274108, -64.83582206, 67.07673773, -38.4981251, 14.06383974, -3.19010472)
COS_HALF_TURN = (
    1.0,
    -19.73920874,
    64.93938908,
    -85.45665831,
    60.24213134,
    -26.40466819,
    7.80013143,
    -1.45311231,
)
# Taylor to degree 19: for x in [-1/4, 1/4] turns, sin(2 pi x) to the precision of a double.
SIN_QUARTER_TURN = tuple(
    (-1) ** k * (2 * math.pi) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(10)
)
