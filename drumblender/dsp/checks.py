"""Checks of sounds that ops, losses and metrics share, and of what is given by hand."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.types import Audio


def one_sound(audio: Tensor | np.ndarray, what: str = "The sound") -> Float[Tensor, "samples"]:
    """One mono sound as a tensor; a batch of one is that one.

    Args:
        audio: Samples in a row, of torch, or of NumPy, which come as float32.
        what: Begins the message.

    Raises:
        ValueError: Several sounds or none, whole numbers, or samples that are NaN or infinite.

    Examples:
        >>> one_sound(np.zeros((1, 100), dtype="float32")).shape
        torch.Size([100])
        >>> one_sound(torch.zeros(2, 100))
        Traceback (most recent call last):
            ...
        ValueError: The sound is samples in a row, got shape (2, 100): give one, as sound[0].
    """
    sound = audio if isinstance(audio, Tensor) else torch.from_numpy(np.ascontiguousarray(audio))
    if not isinstance(audio, Tensor) and sound.is_floating_point():
        sound = sound.float()  # NumPy's own type is double
    if sound.ndim == 2 and len(sound) == 1:
        sound = sound[0]
    if sound.ndim != 1 or not len(sound):
        which = ": give one, as sound[0]" if sound.ndim > 1 and sound.numel() else ""
        raise ValueError(f"{what} is samples in a row, got shape {tuple(sound.shape)}{which}.")
    if not sound.is_floating_point():
        kind = str(sound.dtype).removeprefix("torch.")
        raise ValueError(f"{what} is numbers around 0, mostly from -1 to 1, got {kind}: scale it first.")
    if not sound.isfinite().all():
        raise ValueError(f"{what} has samples that are not finite.")
    return sound


def check_some(audio: Float[Tensor, "*batch samples"]) -> None:
    """Make sure that there is a sound and a sample in it, which an FFT needs; raises ValueError.

    Examples:
        >>> import torch
        >>> check_some(torch.zeros(0, 100))
        Traceback (most recent call last):
            ...
        ValueError: Got 0 sounds of 100 samples: give at least one of each.
    """
    if 0 in audio.shape:
        count = audio.shape[:-1].numel()
        raise ValueError(f"Got {count} sounds of {audio.shape[-1]} samples: give at least one of each.")


def check_sounds(prediction: Audio, target: Audio) -> None:
    """Make sure that two mono sounds have one shape, as all that compares sounds needs.

    Raises:
        ValueError: Channels, nothing at all, or shapes that differ.

    Examples:
        >>> import torch
        >>> check_sounds(torch.zeros(1, 100), torch.zeros(1, 99))
        Traceback (most recent call last):
            ...
        ValueError: Shapes differ: prediction (1, 100), target (1, 99).
    """
    shapes = tuple(prediction.shape), tuple(target.shape)
    if prediction.ndim != 2 or target.ndim != 2 or 0 in shapes[0]:
        raise ValueError(f"Compares mono sounds (batch, samples), got {shapes[0]} and {shapes[1]}.")
    if shapes[0] != shapes[1]:
        raise ValueError(f"Shapes differ: prediction {shapes[0]}, target {shapes[1]}.")
