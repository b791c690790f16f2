"""The onset detector's loop. All that it remembers is in ``memory``, so a signal may come in blocks."""

import math

import numpy as np

from drumblender.dsp.kernels.jit import jit
from drumblender.dsp.kernels.numba_math import biquad_step

# Where ``memory`` holds what, and how long it is.
X1, X2, Y1, Y2, FAST, SLOW, LAST, ARMED, WAIT, COUNT, SIZE = range(11)


@jit
def detect(x, b, a, fast, slow, on_db, off_db, floor_db, eps, wait, rearm_early, memory, signal, onsets):
    """Write the detection signal and the onsets, counted from the first block's start; return how many.

    ``fast`` and ``slow`` hold attack and release of the followers, in samples.
    """
    found = 0
    for n in range(x.size):
        x0 = np.float64(x[n])
        y0 = biquad_step(x0, memory[X1], memory[X2], memory[Y1], memory[Y2], b[0], b[1], b[2], a[1], a[2])
        memory[X2], memory[X1], memory[Y2], memory[Y1] = memory[X1], x0, memory[Y1], y0
        size = abs(y0) + eps
        level = max(20.0 * math.log10(size), floor_db) if size > 0.0 else floor_db
        memory[FAST] += (level - memory[FAST]) / (fast[0] if level > memory[FAST] else fast[1])
        memory[SLOW] += (level - memory[SLOW]) / (slow[0] if level > memory[SLOW] else slow[1])
        rise = memory[FAST] - memory[SLOW]
        signal[n] = rise
        if memory[COUNT] > 0.0:
            ready = memory[ARMED] > 0.0 and memory[WAIT] == 0.0
            if ready and rise >= on_db and memory[LAST] < on_db:
                onsets[found] = np.int64(memory[COUNT])
                found += 1
                memory[ARMED], memory[WAIT] = 0.0, wait
            if memory[WAIT] > 0.0:
                memory[WAIT] -= 1.0
            if rise < off_db and memory[ARMED] == 0.0 and (rearm_early or memory[WAIT] == 0.0):
                memory[ARMED] = 1.0
        memory[LAST] = rise
        memory[COUNT] += 1.0
    return found


@jit
def follow(x, attack, release, level, out):
    for n in range(x.size):
        level += (x[n] - level) / (attack if x[n] > level else release)
        out[n] = level
