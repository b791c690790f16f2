"""Compiled evaluation of a cubic in Hermite form between evenly spread frames, with its adjoint."""

from drumblender.dsp.kernels.jit import jit


@jit
def _weights(sample, num_samples, num_frames):
    """The interval that a sample lies in, and its weights on the two values and the two slopes of it."""
    span = max(num_samples - 1, 1)
    interval = min(sample * (num_frames - 1) // span, num_frames - 2)
    t = (sample * (num_frames - 1) - interval * span) / span
    late = t * t * (3 - 2 * t)
    return interval, 1 - late, late, t * (1 - t) * (1 - t), -t * t * (1 - t)


@jit
def hermite_forward(values, slopes, first, num_samples, out, start, stop):
    """Fill ``out`` with samples ``first`` onwards of ``num_samples`` spread over the frames.

    ``values`` and ``slopes`` (per frame, not per second) are ``(batch, frames, channels)``.
    """
    num_frames, channels = values.shape[1], values.shape[2]
    for b in range(start, stop):
        for n in range(out.shape[1]):
            i, early, late, rise, fall = _weights(first + n, num_samples, num_frames)
            for c in range(channels):
                out[b, n, c] = (
                    early * values[b, i, c]
                    + late * values[b, i + 1, c]
                    + rise * slopes[b, i, c]
                    + fall * slopes[b, i + 1, c]
                )


@jit
def hermite_backward(grad, first, num_samples, grad_values, grad_slopes, start, stop):
    """Add to the gradients of values and slopes."""
    num_frames, channels = grad_values.shape[1], grad_values.shape[2]
    for b in range(start, stop):
        for n in range(grad.shape[1]):
            i, early, late, rise, fall = _weights(first + n, num_samples, num_frames)
            for c in range(channels):
                given = grad[b, n, c]
                grad_values[b, i, c] += early * given
                grad_values[b, i + 1, c] += late * given
                grad_slopes[b, i, c] += rise * given
                grad_slopes[b, i + 1, c] += fall * given
