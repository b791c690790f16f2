"""Transport on the line by one merge of two rows of cumulated mass, with the gradient of every level.

The levels of the two step functions, A of u and B of v, are rising already: walking along both at once visits
their union in order, without a sort or a search. Between two levels the cost is one number, so the derivative
by a level is the cost before it less the cost after it; the derivative by a mass is the sum of those of its
own level and of all later ones. All sums are in double precision.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import FAST, ORDERED, jit


@jit(inline=True)
def _cost(distance, p):
    if p == 2.0:
        return distance * distance
    return abs(distance) if p == 1.0 else abs(distance) ** p


@jit(fastmath=ORDERED)
def _merge(u, v, a, b, p, limit, slopes):
    """Cost of a row; leaves the derivative by every level of a, then of b, in ``slopes``.

    ``u`` and ``v`` end with a copy of their last position and ``a`` and ``b`` with infinity: whoever has run
    out of mass stays where it is. Without branches, because which of the two comes next is anyone's guess.
    """
    n, m = a.size - 1, b.size - 1
    slopes[:] = 0.0
    i = j = 0
    total = level = before = 0.0
    last = n + m  # a slot that nobody reads
    while i < n or j < m:
        from_a, from_b = a[i] <= b[j], b[j] <= a[i]
        upper = min(a[i], b[j])
        cost = _cost(u[i] - v[j], p)
        total += cost * (min(upper, limit) - min(level, limit))
        slopes[last] = before - cost if level < limit else 0.0
        last = n + j if from_b else i
        before, level = cost, upper
        i += from_a
        j += from_b
    slopes[last] = before if level < limit else 0.0
    return total


@jit(fastmath=ORDERED)
def _move(u, v, a, b, p, limit, by_u, by_v):
    """The derivative of the cost by every position: mass that it sends times the slope of the cost."""
    n, m = a.size - 1, b.size - 1
    by_u[:], by_v[:] = 0.0, 0.0
    i = j = 0
    level = 0.0
    while i < n or j < m:
        upper = min(a[i], b[j])
        distance = u[i] - v[j]
        slope = 0.0
        if distance != 0.0:
            slope = math.copysign(p * abs(distance) ** (p - 1), distance)
        slope *= min(upper, limit) - min(level, limit)
        by_u[min(i, n - 1)] += slope
        by_v[min(j, m - 1)] -= slope
        from_a, from_b = a[i] <= b[j], b[j] <= a[i]
        level = upper
        i += from_a
        j += from_b


@jit(fastmath=ORDERED)
def _cumulate(weights, levels):
    """The levels of a row and whether they rise, to an end: what is negative or no number has none."""
    total, lowest = 0.0, 0.0
    for k in range(weights.size):
        total += weights[k]
        lowest = min(lowest, weights[k])
        levels[k] = total
    levels[weights.size] = np.inf
    return lowest >= 0 and math.isfinite(total)


@jit(fastmath=ORDERED)
def _extend(positions, extended):
    for k in range(positions.size):
        extended[k] = positions[k]
    extended[positions.size] = positions[positions.size - 1]


@jit(fastmath=ORDERED)
def _suffix_sums(slopes, out):
    total = 0.0
    for k in range(slopes.size - 1, -1, -1):
        total += slopes[k]
        out[k] = total


@jit(fastmath=ORDERED)
def transport_rows(u, v, a, b, p, limit, moves, distance, by_u, by_v, by_a, by_b, start, stop):
    """Distances of sorted rows, and their derivatives; those by positions only if ``moves``.

    A row whose masses are negative or not finite gets NaN for a distance.
    """
    n, m = a.shape[1], b.shape[1]
    levels_a, levels_b = np.empty(n + 1), np.empty(m + 1)
    places_u, places_v = np.empty(n + 1), np.empty(m + 1)
    slopes = np.empty(n + m + 1)
    for row in range(start, stop):
        _extend(u[row], places_u)
        _extend(v[row], places_v)
        if not (_cumulate(a[row], levels_a) and _cumulate(b[row], levels_b)):
            distance[row] = np.nan
            continue
        distance[row] = _merge(places_u, places_v, levels_a, levels_b, p, limit, slopes)
        _suffix_sums(slopes[:n], by_a[row])
        _suffix_sums(slopes[n : n + m], by_b[row])
        if moves:
            _move(places_u, places_v, levels_a, levels_b, p, limit, by_u[row], by_v[row])


@jit(fastmath=ORDERED)
def _masses(row, order, squared, levels):
    """The cumulated masses and their sum; NaN where one is negative or not finite."""
    total, lowest = 0.0, 0.0
    for k in range(order.size):
        value = np.float64(row[order[k]])
        lowest = min(lowest, value)
        total += value * value if squared else value
        levels[k] = total
    levels[order.size] = np.inf
    return total if lowest >= 0 and math.isfinite(total) else np.nan


@jit(fastmath=FAST)
def _lever(slopes, levels):
    """How much the distance grows with the logarithm of all masses of a side."""
    total = 0.0
    for k in range(slopes.size):
        total += slopes[k] * levels[k]
    return total


@jit(fastmath=ORDERED)
def _to_magnitudes(row, order, squared, slopes, scale, shift, out):
    """From the derivative by levels to that by magnitudes: of mass, less what scaling all masses takes."""
    total = 0.0
    for k in range(order.size - 1, -1, -1):
        total += slopes[k]
        value = 2 * np.float64(row[order[k]]) if squared else 1.0
        out[order[k]] = value * (total * scale - shift)


@jit(fastmath=ORDERED)
def spectra_rows(
    x, y, u, v, order_u, order_v, p, squared, balanced, limit, floor, distance, by_x, by_y, start, stop
):
    """Distances of spectra x (target) and y, and derivatives by both; positions sorted, one row for all.

    The masses of x are divided by their sum, those of y by theirs or by that of x. Derivatives are made for
    the sides that have rows for them.
    """
    n, m = order_u.size, order_v.size
    a, b, slopes = np.empty(n + 1), np.empty(m + 1), np.empty(n + m + 1)
    by_level_of_x, by_level_of_y = slopes[:n], slopes[n : n + m]
    for row in range(start, stop):
        whole, other = _masses(x[row], order_u, squared, a), _masses(y[row], order_v, squared, b)
        if not (whole > floor and other >= 0):
            distance[row] = 0.0 if whole >= 0 and other >= 0 else np.nan  # silence: nothing to move to
            by_x[row : row + 1], by_y[row : row + 1] = 0.0, 0.0
            continue
        share = max(other, floor) if balanced else whole
        for k in range(n):
            a[k] /= whole
        for k in range(m):
            b[k] /= share
        distance[row] = _merge(u, v, a, b, p, limit, slopes)
        if not (by_x.size or by_y.size):
            continue
        lever = _lever(by_level_of_y, b)
        if by_x.size:
            back = (_lever(by_level_of_x, a) + (0.0 if balanced else lever)) / whole
            _to_magnitudes(x[row], order_u, squared, by_level_of_x, 1 / whole, back, by_x[row])
        if by_y.size:
            back = lever / share if balanced and other > floor else 0.0
            _to_magnitudes(y[row], order_v, squared, by_level_of_y, 1 / share, back, by_y[row])
