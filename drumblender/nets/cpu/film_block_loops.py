"""A block of a FiLM-conditioned TCN over tiles: ``z = conv(x)``, ``y = gelu(a z + b) + skip(x)``.

``a = gamma * scale`` and ``b = beta - gamma * scale * mean`` differ between items. Its steps, in order: the
convolution with the moments of its result, the rest; then back through the rest, with gradients of all gains;
through the moments and to the weight; to ``x``.
"""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit
from drumblender.nets.cpu.tile_loops import (
    add_products,
    add_sums,
    add_weight_grad,
    convolve,
    load,
    make_tile,
    normal,
    offsets_of,
    row_window,
    store,
    time_operand,
    time_window,
)


@jit(fastmath=FASTEST)
def conv_moments(x, weights, bias, taps, dilation, left, z, moments, length, start, stop):
    """Writes ``z`` and, where asked, for each tile and channel its mean and the squares around that."""
    out = make_tile(z.shape[1], length)
    window = row_window(weights, taps, out.shape[1] + (taps - 1) * dilation)
    offsets = offsets_of(window, taps, dilation)
    per_item = -(-z.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(x[item], begin - left, window)
        convolve(window, offsets, weights, bias, out)
        for channel in range(z.shape[1] if moments.size else 0):
            row = out[channel, : min(length, z.shape[2] - begin)]
            total, squares = np.float32(0), np.float32(0)
            for t in range(row.size):
                total += row[t]
            mean = total / np.float32(row.size)
            for t in range(row.size):
                squares += (row[t] - mean) * (row[t] - mean)
            moments[index, channel, 0], moments[index, channel, 1] = mean, squares
        store(out, z[item], begin)


@jit(fastmath=FASTEST)
def modulate(x, z, gain, shift, skip, skip_bias, y, length, start, stop):
    """``y = gelu(gain * z + shift) + skip(x)``; ``gain`` and ``shift`` are ``(batch, channels)``."""
    out, rest = make_tile(y.shape[1], length), make_tile(y.shape[1], length)
    source = row_window(skip, 1, out.shape[1])
    points = offsets_of(source, 1, 1)
    per_item = -(-y.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(x[item], begin, source)
        load(z[item], begin, rest)
        convolve(source, points, skip, skip_bias, out)
        for channel in range(y.shape[1]):
            row, inner = out[channel], rest[channel]
            a, b = gain[item, channel], shift[item, channel]
            for t in range(row.size):
                before = a * inner[t] + b
                row[t] += before * normal(before)[0]
        store(out, y[item], begin)


@jit(fastmath=FASTEST)
def modulate_adjoint(x, z, grad_y, gain, shift, centre, scale, grad_z, length, start, stop):
    """Writes the gradient of ``z`` for given moments; gives those of gamma, beta, and the skip.

    ``centre`` and ``scale`` ``(channels)`` make the normalised channel ``scale * z + centre``.
    """
    grad, inner = make_tile(z.shape[1], length), make_tile(z.shape[1], length)
    source = time_window(x, x.shape[1], grad.shape[1])
    points = offsets_of(source, 1, 1)
    grad_gamma, grad_beta = np.zeros(gain.shape, np.float32), np.zeros(gain.shape, np.float32)
    grad_skip = np.zeros((grad.shape[0], points.size), np.float32)
    grad_skip_bias = np.zeros(grad.shape[0], np.float32)
    per_item = -(-z.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(x[item], begin, source)
        load(z[item], begin, inner)
        load(grad_y[item], begin, grad)
        add_sums(grad, grad_skip_bias)
        add_weight_grad(time_operand(grad, x), source, points, grad_skip)
        for channel in range(z.shape[1]):
            row, value = grad[channel], inner[channel]
            a, b = gain[item, channel], shift[item, channel]
            total, products = np.float32(0), np.float32(0)
            for t in range(row.size):
                before = a * value[t] + b
                share, density = normal(before)
                slope = row[t] * (share + before * density)
                total += slope
                products += slope * (scale[channel] * value[t] + centre[channel])
                row[t] = slope * a
            grad_beta[item, channel] += total
            grad_gamma[item, channel] += products
        store(grad, grad_z[item], begin)
    return grad_gamma, grad_beta, grad_skip, grad_skip_bias


@jit(fastmath=FASTEST)
def moments_adjoint(z, per_value, constant, grad_z, length, start, stop):
    """Takes ``per_value * z + constant`` of each channel off the gradient of ``z``."""
    grad, inner = make_tile(z.shape[1], length), make_tile(z.shape[1], length)
    per_item = -(-z.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(grad_z[item], begin, grad)
        load(z[item], begin, inner)
        for channel in range(z.shape[1]):
            row, value = grad[channel], inner[channel]
            for t in range(row.size):
                row[t] -= per_value[channel] * value[t] + constant[channel]
        store(grad, grad_z[item], begin)


@jit(fastmath=FASTEST)
def input_grad(grad_z, weights, taps, dilation, left, grad_y, skip, grad_x, length, start, stop):
    """Writes the gradient of ``x``; ``weights`` and ``skip`` are those of the way back, packed."""
    out = make_tile(grad_x.shape[1], length)
    window = row_window(weights, taps, out.shape[1] + (taps - 1) * dilation)
    grad = row_window(skip, 1, out.shape[1])
    offsets, points = offsets_of(window, taps, dilation), offsets_of(grad, 1, 1)
    per_item = -(-grad_x.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(grad_z[item], begin - left, window)
        load(grad_y[item], begin, grad)
        out[:] = 0.0
        add_products(window, offsets, weights, out)
        add_products(grad, points, skip, out)
        store(out, grad_x[item], begin)
