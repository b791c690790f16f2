"""How far the numbers of a timbre transfer go, in its options and on the command line."""

import math

LIMITS: dict[str, tuple[float, float, str]] = {
    "transpose": (-48, 48, "semitones"),
    "octave": (-4, 4, "octaves"),
    "gain_db": (-40, 40, "dB"),
    "unvoiced_below": (0, 1, ""),
    "vibrato": (0, 10, ""),
    "glide_s": (0, 10, "s"),
    "pluck_db_s": (0, 1000, "dB/s"),
    "seed": (-(2**63), 2**64 - 1, ""),
}
"""Of each option the lowest value, the highest, and their unit."""


def out_of_limits(option: str, value: float) -> str | None:
    """What is wrong with a value, None if nothing is.

    Examples:
        >>> out_of_limits("gain_db", 200)
        'goes from -40 to 40 dB, got 200'
        >>> out_of_limits("gain_db", 3)
    """
    low, high, unit = LIMITS[option]
    if math.isfinite(value) and low <= value <= high:
        return None
    return f"goes from {_told(low)} to {_told(high)}{unit and f' {unit}'}, got {_told(value)}"


def _told(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
