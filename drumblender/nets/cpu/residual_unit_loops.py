"""A residual unit of a SoundStream encoder over tiles: ``c = conv(x), y = x + elu(pointwise(elu(c)))``."""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit
from drumblender.nets.cpu.tile_loops import (
    add_sums,
    add_weight_grad,
    convolve,
    elu,
    elu_slope,
    load,
    make_tile,
    offsets_of,
    row_operand,
    row_window,
    store,
    time_operand,
    time_window,
)


@jit(fastmath=FASTEST)
def unit(x, weights, bias, taps, dilation, left, point, point_bias, c, y, length, start, stop):
    """Writes ``c`` and ``y``; weights and biases are packed, the rest as in ``conv_loops.conv``."""
    inner, outer = make_tile(x.shape[1], length), make_tile(x.shape[1], length)
    width = inner.shape[1]
    window = row_window(weights, taps, width + (taps - 1) * dilation)
    offsets, points = offsets_of(window, taps, dilation), offsets_of(row_operand(inner, point), 1, 1)
    per_item = -(-x.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(x[item], begin - left, window)
        convolve(window, offsets, weights, bias, inner)
        store(inner, c[item], begin)
        for channel in range(x.shape[1]):
            row = inner[channel]
            for t in range(width):
                row[t] = elu(row[t])
        convolve(row_operand(inner, point), points, point, point_bias, outer)
        load(x[item], begin, inner)
        for channel in range(x.shape[1]):
            row, skip = outer[channel], inner[channel]
            for t in range(width):
                row[t] = skip[t] + elu(row[t])
        store(outer, y[item], begin)


@jit(fastmath=FASTEST)
def unit_adjoint(
    x, c, grad_y, taps, dilation, left, point, point_bias, point_back, grad_c, length, start, stop
):
    """Writes the gradient of ``c``; gives those of both weights and biases."""
    before, inner = make_tile(x.shape[1], length), make_tile(x.shape[1], length)
    outer, grad = make_tile(x.shape[1], length), make_tile(x.shape[1], length)
    nothing, width = np.zeros(inner.shape[0], np.float32), inner.shape[1]
    window = time_window(x, x.shape[1], width + (taps - 1) * dilation)
    offsets, points = offsets_of(window, taps, dilation), offsets_of(inner, 1, 1)
    grad_weight = np.zeros((inner.shape[0], offsets.size), np.float32)
    grad_point = np.zeros((inner.shape[0], points.size), np.float32)
    grad_bias, grad_point_bias = np.zeros_like(nothing), np.zeros_like(nothing)
    per_item = -(-x.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(c[item], begin, before)
        for channel in range(x.shape[1]):
            row, source = inner[channel], before[channel]
            for t in range(width):
                row[t] = elu(source[t])
        convolve(row_operand(inner, point), points, point, point_bias, outer)
        load(grad_y[item], begin, grad)  # 0 outside of the sound, which makes all that follows 0 there
        for channel in range(x.shape[1]):
            row, above = outer[channel], grad[channel]
            for t in range(width):
                row[t] = elu_slope(row[t]) * above[t]
        add_sums(outer, grad_point_bias)
        add_weight_grad(time_operand(outer, x), time_operand(inner, x), points, grad_point)
        convolve(row_operand(outer, point), points, point_back, nothing, grad)
        for channel in range(x.shape[1]):
            row, source = grad[channel], before[channel]
            for t in range(width):
                row[t] *= elu_slope(source[t])
        store(grad, grad_c[item], begin)
        add_sums(grad, grad_bias)
        load(x[item], begin - left, window)
        add_weight_grad(time_operand(grad, x), window, offsets, grad_weight)
    return grad_weight, grad_bias, grad_point, grad_point_bias
