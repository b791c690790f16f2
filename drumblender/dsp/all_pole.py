"""Recursions that read a few neighbouring samples a varying delay ago, and their inverses.

``y[n] = x[n] - sum_k a_k[n] y[n - lag[n] - k]``: with a long lag this is a comb or a plucked string,
with a lag of 1 a time-varying all-pole filter. The state between two blocks is the last outputs, so
rendering in blocks of any size equals rendering at once. Everything is computed in float64 where the
device has it and returned in the type of the input. Differentiable once, in signal, taps and state.
"""

import warnings
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.kernels import read_along, served
from drumblender.dsp.windows import Starts, place_windows, take_windows

Kernel = Literal["auto", "plain", "torchlpc"]
"""Who computes a recursion: the fastest there is, plain torch, or torchlpc, the reference."""


def working_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it: long recursions lose about two digits in float32.

    Examples:
        >>> working_dtype(torch.device("cpu")), working_dtype(torch.device("mps"))
        (torch.float64, torch.float32)
    """
    return torch.float32 if device.type == "mps" else torch.float64


def sparse_all_pole(
    excitation: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    zi: Float[Tensor, "batch state"] | None = None,
    *,
    kernel: Kernel = "auto",
) -> Float[Tensor, "batch samples"]:
    """Filter with ``y[n] = x[n] - sum_k taps[n, k] y[n - lag[n] - k]``.

    Args:
        excitation: x.
        lag: Smallest delay read at each sample, at least 1.
        taps: Denominator coefficients that follow the lag, sign as in ``scipy.signal.lfilter``.
        zi: Outputs before the start, oldest first, at least as many as the longest delay read. None: zeros.
        kernel: Who computes it.

    Raises:
        ValueError: A lag is below 1 or reaches behind ``zi``; ``kernel`` is unknown or not installed.

    Examples:
        >>> impulse, lag = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0]]), torch.full((1, 7), 3)
        >>> sparse_all_pole(impulse, lag, torch.full((1, 7, 1), -0.5)).tolist()  # an echo every 3 samples
        [[1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.25]]
    """
    if kernel not in get_args(Kernel):
        raise ValueError(f"kernel is one of {', '.join(get_args(Kernel))}, got {kernel!r}.")
    if 0 in (*excitation.shape, taps.shape[2]):
        return excitation
    wide = _working(excitation, lag, taps, zi)
    if kernel == "torchlpc":
        out = _by_torchlpc(*wide)
    elif read_along():
        from drumblender.dsp.kernels.all_pole_op import Followed, scripted  # numba is slow to import

        out = (scripted() if torch.jit.is_tracing() else Followed.apply)(*wide)
    else:
        from drumblender.dsp.kernels.all_pole import Recursion
        from drumblender.dsp.kernels.all_pole_op import with_history

        fused = kernel == "auto"
        history, nearest = with_history(*wide, fused)
        out = Recursion.apply(*wide[:3], history, nearest, fused)
    return out.to(excitation.dtype)


def sparse_all_pole_inverse(
    signal: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    zi: Float[Tensor, "batch state"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Undo :func:`sparse_all_pole`: ``x[n] = y[n] + sum_k taps[n, k] y[n - lag[n] - k]``.

    Arguments as there; ``zi`` holds what stood in ``signal`` before its start.

    Examples:
        >>> sound, lag, taps = torch.randn(1, 100), torch.full((1, 100), 3), torch.full((1, 100, 1), -0.5)
        >>> echoing = sparse_all_pole(sound, lag, taps)
        >>> torch.allclose(sparse_all_pole_inverse(echoing, lag, taps), sound, atol=1e-5)
        True
    """
    if 0 in (*signal.shape, taps.shape[2]):
        return signal
    wide = _working(signal, lag, taps, zi)
    if not served(*wide):
        return inverse_plain(*wide).to(signal.dtype)
    from drumblender.dsp.kernels.all_pole import Inverse
    from drumblender.dsp.kernels.all_pole_op import with_history

    history, _ = with_history(*wide)
    return Inverse.apply(*wide[:3], history).to(signal.dtype)


def inverse_plain(
    signal: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    zi: Float[Tensor, "batch state"],
) -> Float[Tensor, "batch samples"]:
    """What :func:`sparse_all_pole_inverse` computes: any device. What lies before the state is silence."""
    padded = torch.cat([zi, signal], dim=1)
    now = torch.arange(zi.shape[1], padded.shape[1], device=lag.device)
    places = (now - lag)[..., None] - torch.arange(taps.shape[2], device=lag.device)
    past = padded.gather(1, places.clamp(min=0).flatten(1)).view_as(taps) * (places >= 0)
    return signal + (taps * past).sum(dim=2)


def final_state(
    zi: Float[Tensor, "batch state"], signal: Float[Tensor, "batch samples"]
) -> Float[Tensor, "batch state"]:
    """The state to start the next block with: the newest samples of the filtered signal.

    Examples:
        >>> final_state(torch.zeros(1, 2), torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[2., 3.]])
    """
    return torch.cat([zi, signal.to(zi)], dim=1)[:, signal.shape[1] :]


def windowed_all_pole(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch window order"],
    starts: Starts,
    *,
    inverse: bool = False,
    kernel: Kernel = "auto",
) -> Float[Tensor, "batch samples"]:
    """All-pole filter with time-varying coefficients, in short windows; silence everywhere else.

    Every window starts from rest and uses the same coefficients. Windows that overlap add up; one that
    runs past the end is cut.

    Args:
        signal: What is filtered.
        coefficients: e in ``v[m] = q[m] - sum_k e_k[m] v[m - k]``, k from 1, m from the start of a window.
        starts: First sample of each window.
        inverse: Undo the filter: ``q[m] = v[m] + sum_k e_k[m] v[m - k]``.
        kernel: Who computes it.

    Examples:
        >>> windowed_all_pole(torch.ones(1, 6), torch.full((1, 2, 1), -0.5), starts=[1, 4]).tolist()
        [[0.0, 1.0, 1.5, 0.0, 1.0, 1.5]]
    """
    segments = take_windows(signal, starts, coefficients.shape[1])
    num_starts = segments.shape[1]
    rows = coefficients.repeat_interleave(num_starts, dim=0)
    filtered = all_pole(segments.flatten(0, 1), rows, inverse=inverse, kernel=kernel)
    return place_windows(filtered.unflatten(0, (-1, num_starts)), starts, signal.shape[1])


def all_pole(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch samples order"],
    *,
    inverse: bool = False,
    kernel: Kernel = "auto",
) -> Float[Tensor, "batch samples"]:
    """Time-varying all-pole filter from rest, ``v[n] = q[n] - sum_k e_k[n] v[n - k]``, or its inverse.

    Examples:
        >>> all_pole(torch.tensor([[1.0, 0.0, 0.0]]), torch.full((1, 3, 1), -0.5)).tolist()
        [[1.0, 0.5, 0.25]]
    """
    lag = torch.ones_like(signal, dtype=torch.int64)
    if inverse:
        return sparse_all_pole_inverse(signal, lag, coefficients)
    return sparse_all_pole(signal, lag, coefficients, kernel=kernel)


def bounds(values: Tensor) -> tuple[float, float]:
    """Smallest and largest value; NaN where one is.

    Examples:
        >>> bounds(torch.tensor([3.0, -1.0, 2.0]))
        (-1.0, 3.0)
    """
    if values.device.type == "cpu":  # without torch, whose thread teams spin between kernels
        array = values.detach().numpy()
        return array.min().item(), array.max().item()
    return tuple(bound.item() for bound in values.detach().aminmax())


def _working(signal: Tensor, lag: Tensor, taps: Tensor, zi: Tensor | None) -> tuple[Tensor, ...]:
    """The tensors in the working type; a state of no samples where there is none.

    The loops of the CPU widen taps as they read them: of many to a sample, a wider copy takes longer than
    the filter.
    """
    dtype = working_dtype(signal.device)
    zi = signal.new_zeros(signal.shape[0], 0) if zi is None else zi
    as_it_is = taps.dtype == torch.float32 and served(signal, taps)
    return signal.to(dtype), lag, (taps if as_it_is else taps.to(dtype)).contiguous(), zi.to(dtype)


def _by_torchlpc(signal: Tensor, lag: Tensor, taps: Tensor, zi: Tensor) -> Tensor:
    """A dense row of coefficients for each sample, as torchlpc takes them."""
    from drumblender.dsp.kernels.all_pole_op import with_history

    try:
        with warnings.catch_warnings(action="ignore"):  # of its extension for C++, which is no faster
            from torchlpc import sample_wise_lpc
    except ImportError as error:
        raise ValueError("kernel='torchlpc' needs torchlpc: pip install 'drumblender[reference]'.") from error
    history, _ = with_history(signal, lag, taps, zi)
    taps = taps.to(signal)
    rows = taps.new_zeros(*lag.shape, history.shape[1])
    places = lag[..., None] - 1 + torch.arange(taps.shape[2], device=lag.device)
    with warnings.catch_warnings(action="ignore"):
        return sample_wise_lpc(signal, rows.scatter(2, places, taps), history.flip(1))
