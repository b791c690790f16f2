"""Compiled polyphase resampling; its adjoint is the same loop with other weights.

Output ``q phases + j`` is the sum of ``rows[j]`` times the inputs from ``q step + starts[j]`` on; the input
carries zeros on both sides.
"""

from drumblender.dsp.kernels.jit import FAST, jit


@jit(fastmath=FAST)
def resample(padded, rows, starts, step, out, start, stop):
    """Fill ``out`` for items ``start`` to ``stop``. Four steps at a time share each weight that is loaded."""
    phases, taps = rows.shape
    count = out.shape[1]
    in_fours = count // phases // 4 * 4
    zero = rows[0, 0] - rows[0, 0]  # of their type
    for item in range(start, stop):
        heard = padded[item]
        for q in range(0, in_fours, 4):
            for j in range(phases):
                row, first, n = rows[j], q * step + starts[j], q * phases + j
                a = heard[first : first + taps]  # views: an index that could be negative is not vectorised
                b = heard[first + step : first + step + taps]
                c = heard[first + 2 * step : first + 2 * step + taps]
                d = heard[first + 3 * step : first + 3 * step + taps]
                one, two, three, four = zero, zero, zero, zero
                for i in range(taps):
                    one += row[i] * a[i]
                    two += row[i] * b[i]
                    three += row[i] * c[i]
                    four += row[i] * d[i]
                out[item, n], out[item, n + phases] = one, two
                out[item, n + 2 * phases], out[item, n + 3 * phases] = three, four
        for n in range(in_fours * phases, count):
            row, first, total = rows[n % phases], n // phases * step + starts[n % phases], zero
            a = heard[first : first + taps]
            for i in range(taps):
                total += row[i] * a[i]
            out[item, n] = total
