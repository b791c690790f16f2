"""A GRU frame by frame, there and back: its weights are packed once and pass through the registers.

Of the weights that turn a state into gates a panel of ``STEP`` units is read at a time, for groups of
``CHANNELS`` items, so that a product of a large matrix with a few columns works at the speed of a large one.
Groups do not depend on each other: each thread runs its own to the end. Arrays are float32; gates lie in the
order of torch: reset, update, new.
"""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit, part
from drumblender.dsp.kernels.numba_math import exp_below_0
from drumblender.nets.cpu.lanes import CHANNELS, STEP, sum_rows

_ONE, _TWO = np.float32(1), np.float32(2)


@jit(fastmath=FASTEST)
def play(given, weights, bias, outputs, heard, first, last):
    """Groups ``first`` to ``last``, over all frames.

    Args:
        given: What the inputs and biases give to the gates, ``(frames, batch, 3 hidden)``; becomes the gates.
        weights: From the state to the gates, ``(panels, 3, hidden * STEP)``.
        bias: Of what the new gate hears of the state, ``(hidden,)``.
        outputs: ``(frames + 1, batch, hidden)``; the state before the first frame comes first.
        heard: Becomes what the new gate hears of the state, ``(frames, batch, hidden)``.
    """
    frames, batch, size = heard.shape
    offsets, sums = np.arange(size) * STEP, np.empty((CHANNELS, STEP), np.float32)
    hidden = np.empty(((last - first) * CHANNELS, 3, weights.shape[0] * STEP), np.float32)
    states = np.zeros((last - first, size, CHANNELS), np.float32)
    for b in range(first * CHANNELS, min(last * CHANNELS, batch)):
        states[b // CHANNELS - first, :, b % CHANNELS] = outputs[0, b]
    for t in range(frames):
        for panel in range(weights.shape[0]):
            for group in range(last - first):
                for gate in range(3):
                    sums[:] = 0.0
                    sum_rows(weights[panel, gate], offsets, states[group], sums, 0, 0)
                    for c in range(CHANNELS):
                        source = sums[c]
                        row = hidden[group * CHANNELS + c, gate, panel * STEP : (panel + 1) * STEP]
                        for j in range(STEP):
                            row[j] = source[j]
        for b in range(first * CHANNELS, min(last * CHANNELS, batch)):
            out, column = outputs[t + 1, b], states[b // CHANNELS - first, :, b % CHANNELS]
            _gates(given[t, b], hidden[b - first * CHANNELS], bias, heard[t, b], outputs[t, b], out)
            for k in range(size):
                column[k] = out[k]


@jit(fastmath=FASTEST)
def play_adjoint(grad, gates, heard, outputs, weights, by_state, by_gates, first, last):
    """The way back of ``play``.

    Args:
        grad: By the outputs, ``(frames, batch, hidden)``.
        gates, heard, outputs: As ``play`` leaves them.
        weights: From gates to the state, ``(panels, 3 hidden * STEP)``.
        by_state: By the last state; becomes that by the first, ``(batch, hidden)``.
        by_gates: Becomes ``(frames, batch, 4 hidden)``: by what the new gate hears of the inputs, then by
            what all three hear of the state.
    """
    frames, batch, size = heard.shape
    offsets = np.arange(3 * size) * STEP
    sums = np.zeros((CHANNELS, STEP), np.float32)
    turned = np.zeros((last - first, 3 * size, CHANNELS), np.float32)
    for t in range(frames - 1, -1, -1):
        for b in range(first * CHANNELS, min(last * CHANNELS, batch)):
            _gates_adjoint(grad[t, b], gates[t, b], heard[t, b], outputs[t, b], by_state[b], by_gates[t, b])
            turned[b // CHANNELS - first, :, b % CHANNELS] = by_gates[t, b, size:]
        for panel in range(weights.shape[0]):
            start, stop = panel * STEP, min((panel + 1) * STEP, size)
            for group in range(last - first):
                item = (first + group) * CHANNELS
                rows = by_state[item : min(item + CHANNELS, batch), start:stop]
                sums[: rows.shape[0], : rows.shape[1]] = rows
                sum_rows(weights[panel], offsets, turned[group], sums, 0, 0)
                rows[:] = sums[: rows.shape[0], : rows.shape[1]]


@part
def _gates(given, hidden, bias, heard, before, out):
    """One item's gates, which replace what it hears of the inputs, and its output."""
    size = heard.size
    reset, update, new = given[:size], given[size : 2 * size], given[2 * size :]
    by_reset, by_update, by_new = hidden[0], hidden[1], hidden[2]
    for k in range(size):
        reset[k] = _sigmoid(reset[k] + by_reset[k])
    for k in range(size):
        heard[k] = by_new[k] + bias[k]
        new[k] = _tanh(new[k] + reset[k] * heard[k])
    for k in range(size):
        update[k] = _sigmoid(update[k] + by_update[k])
        out[k] = new[k] + update[k] * (before[k] - new[k])


@part
def _gates_adjoint(grad, gates, heard, before, by_state, by_gates):
    """Through one item's gates; ``by_state`` keeps what flows past them."""
    size = heard.size
    reset, update, new = gates[:size], gates[size : 2 * size], gates[2 * size :]
    by_new, by_reset = by_gates[:size], by_gates[size : 2 * size]
    by_update, by_hidden = by_gates[2 * size : 3 * size], by_gates[3 * size :]
    for k in range(size):
        flow = by_state[k] + grad[k]
        slope = flow * (_ONE - update[k]) * (_ONE - new[k] * new[k])
        by_new[k] = slope
        by_update[k] = flow * (before[k] - new[k]) * update[k] * (_ONE - update[k])
        by_state[k] = flow * update[k]
    for k in range(size):
        by_reset[k] = by_new[k] * heard[k] * reset[k] * (_ONE - reset[k])
        by_hidden[k] = by_new[k] * reset[k]


@part
def _sigmoid(x):
    small = exp_below_0(-abs(x))
    share = _ONE / (_ONE + small)
    value = share if x > 0 else small * share
    return x if x != x else value  # NaN stays


@part
def _tanh(x):
    small = exp_below_0(-_TWO * abs(x))
    size = (_ONE - small) / (_ONE + small)
    value = size if x > 0 else -size
    return x if x != x else value
