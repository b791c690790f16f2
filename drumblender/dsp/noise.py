"""Noise that is drawn: white, and the burst that plucks a string."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import read_along
from drumblender.dsp.tables import aside

_ALIKE = ContextVar("sounds of a batch have one noise", default=False)


@contextmanager
def one_noise() -> Iterator[None]:
    """Within it all sounds of a batch have the noise that each would have alone, from the same seed.

    Examples:
        >>> with one_noise():
        ...     who_draws(None, None, 8, "cpu")
        (None, 1)
    """
    token = _ALIKE.set(True)
    try:
        yield
    finally:
        _ALIKE.reset(token)


def white_noise(
    shape: tuple[int, ...],
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    draw_on_device: bool = False,
) -> Float[Tensor, "..."]:
    """Uniform noise in [-1, 1).

    Args:
        shape: Of the output.
        generator: Where the numbers come from; the global generator without it.
        device: Of the output.
        dtype: Of the output.
        draw_on_device: Draw on ``device``, or where the generator lives. Otherwise numbers are drawn on the
            CPU and copied, so that one seed gives the same noise on every device.

    Examples:
        >>> noise = white_noise((2, 1000), generator=torch.Generator().manual_seed(0))
        >>> noise.shape, bool(noise.abs().max() <= 1)
        (torch.Size([2, 1000]), True)
    """
    source = source_of(generator, device if draw_on_device else "cpu")
    options = {"generator": generator, "device": source, "dtype": torch.float32}
    if generator is not None and read_along():  # no exported graph can hold a generator: it holds the noise
        unit = aside(torch.rand, tuple(map(int, shape)), **options)
    else:
        unit = torch.rand(shape, **options)
    return (2 * unit - 1).to(device=device, dtype=dtype)  # not in place: an exported graph holds the draw


def source_of(generator: torch.Generator | None, device: torch.device | str) -> torch.device | str:
    """Where noise is drawn: where its generator lives, and without one on the device.

    Examples:
        >>> source_of(torch.Generator(), "cuda"), source_of(None, "cuda")
        (device(type='cpu'), 'cuda')
    """
    return device if generator is None else generator.device


def who_draws(
    seed: int | None, generator: torch.Generator | None, batch: int, device: torch.device | str
) -> tuple[torch.Generator | None, int]:
    """The generator of a batch of noises, and how many it draws: with a seed one for all, else one each.

    In :func:`one_noise` one for all, too.

    Examples:
        >>> who_draws(0, None, 8, "cpu")[1], who_draws(None, None, 8, "cpu")[1]
        (1, 8)
    """
    if generator is None and seed is not None:
        return torch.Generator(device).manual_seed(seed), 1
    return generator, 1 if not read_along() and _ALIKE.get() else batch


def noise_burst(
    sample_rate: int,
    length_s: float,
    burst_width_s: float,
    *,
    normalize: bool = False,
    per_item: bool = True,
    batch_size: int = 1,
    generator: torch.Generator | None = None,
    uniform: Float[Tensor, "batch burst"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """A short burst of uniform noise in [-0.5, 0.5) and then silence: the pluck that starts a string.

    Args:
        sample_rate: Samples per second.
        length_s: Length of the output in seconds; part samples are dropped, here and in the burst.
        burst_width_s: Length of the burst in seconds.
        normalize: Take out the mean and scale to a peak of 1.
        per_item: Normalise each item by itself, not by the mean and peak of the whole batch.
        batch_size: Number of bursts.
        generator: Where the numbers come from; the global generator without it.
        uniform: Draws in [0, 1) to use instead.

    Raises:
        ValueError: The burst is empty or longer than the output.

    Examples:
        >>> burst = noise_burst(16000, length_s=1.0, burst_width_s=0.025)
        >>> burst.shape, bool(burst[:, :400].any()), bool(burst[:, 400:].any())
        (torch.Size([1, 16000]), True, False)
    """
    width, num_samples = int(sample_rate * burst_width_s), int(sample_rate * length_s)
    if not 0 < width <= num_samples:
        raise ValueError(f"A burst of {width} samples does not fit into {num_samples}; it needs at least 1.")
    if uniform is None:
        uniform = torch.rand(batch_size, width, generator=generator)
    burst = uniform - 0.5
    if normalize:
        over = 1 if per_item else (0, 1)
        burst = burst - burst.mean(dim=over, keepdim=True)
        burst = burst / burst.abs().amax(dim=over, keepdim=True).clamp(min=1e-12)
    return torch.nn.functional.pad(burst, (0, num_samples - width))
