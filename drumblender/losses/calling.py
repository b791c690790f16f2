"""Calls a loss, whoever wrote it, so that what it cannot take ends in one line."""

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.losses.controls import ControlLoss
from drumblender.types import Audio

_MISFITS = (
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
)  # how modules say that a call does not suit them


def call_loss(loss: nn.Module, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
    """``loss(prediction, target)``.

    Raises:
        ValueError: The loss cannot compare two sounds ``(batch, samples)``, as one of controls cannot, or
            gives more than one number.

    Examples:
        >>> import torch
        >>> call_loss(nn.L1Loss(), torch.zeros(2, 100), torch.ones(2, 100))
        tensor(1.)
    """
    name = type(loss).__name__
    if isinstance(loss, ControlLoss) and isinstance(prediction, Tensor):
        raise ValueError(
            f"{name} compares controls that are known, as those of cfg/strings/supervised.yaml are, and no "
            "sounds: take a loss of sounds, such as cfg/losses/mrstft.yaml."
        )
    try:
        value = loss(prediction, target)
    except _MISFITS as error:
        if isinstance(error, ValueError) and type(loss).__module__.startswith("drumblender."):
            raise  # it names what is wrong
        raise ValueError(
            f"{name} cannot compare two sounds of shape {tuple(prediction.shape)}: {error}. A loss that "
            f"wants channels goes inside drumblender.losses.Channelled."
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} gave {given} where a loss gives one number: set its reduction.")
    return value.reshape(())
