"""A convolution of stride 1 with zeros around, over tiles; an ELU or a skip may follow."""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit
from drumblender.nets.cpu.tile_loops import (
    add_sums,
    add_weight_grad,
    convolve,
    elu,
    load,
    make_tile,
    offsets_of,
    row_window,
    store,
    time_operand,
    time_window,
)


@jit(fastmath=FASTEST)
def conv(x, weights, bias, taps, dilation, left, active, skip, y, length, start, stop):
    """Tiles ``start`` to ``stop`` of ``y``, counted through all items, of ``length`` frames each.

    Args:
        x, y: Sound, ``(batch, channels, frames)``.
        weights, bias: Packed, filled up with zeros.
        taps, dilation, left: Of the convolution, and zeros before the sound.
        active: Apply an ELU.
        skip: What is added at last, of the shape of ``y``; of batch 0 for nothing.
    """
    out, more = make_tile(y.shape[1], length), make_tile(y.shape[1], length)
    window = row_window(weights, taps, out.shape[1] + (taps - 1) * dilation)
    offsets = offsets_of(window, taps, dilation)
    per_item = -(-y.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(x[item], begin - left, window)
        convolve(window, offsets, weights, bias, out)
        if active:
            for channel in range(y.shape[1]):
                row = out[channel]
                for t in range(row.size):
                    row[t] = elu(row[t])
        if skip.shape[0]:
            load(skip[item], begin, more)
            out += more
        store(out, y[item], begin)


@jit(fastmath=FASTEST)
def conv_weight_grad(x, y, grad_y, taps, dilation, left, active, grad, length, start, stop):
    """Gradients of weight and bias; with an ELU, that of what went into it is written to ``grad``."""
    tile, result = make_tile(y.shape[1], length), make_tile(y.shape[1], length)
    window = time_window(x, x.shape[1], tile.shape[1] + (taps - 1) * dilation)
    offsets = offsets_of(window, taps, dilation)
    grad_weight = np.zeros((tile.shape[0], offsets.size), np.float32)
    grad_bias = np.zeros(tile.shape[0], np.float32)
    per_item = -(-y.shape[2] // length)
    for index in range(start, stop):
        item, begin = index // per_item, index % per_item * length
        load(grad_y[item], begin, tile)
        if active:
            load(y[item], begin, result)
            for channel in range(y.shape[1]):
                row, value = tile[channel], result[channel]
                for t in range(row.size):  # the slope of an ELU below 0 is its result + 1
                    row[t] *= min(value[t], np.float32(0)) + np.float32(1)
            store(tile, grad[item], begin)
        load(x[item], begin - left, window)
        add_sums(tile, grad_bias)
        add_weight_grad(time_operand(tile, x), window, offsets, grad_weight)
    return grad_weight, grad_bias
