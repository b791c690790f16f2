"""Controls that were made for other recordings, to hear whether a model listens to its own."""

from collections.abc import Callable

from torch import Tensor

from drumblender.types import AudioBatch, Controls

Exchange = Callable[[Tensor], Tensor]


def mean_of_others(values: Tensor) -> Tensor:
    """For each item the mean of all others: the same for nearly every item, and none of its own.

    >>> import torch
    >>> mean_of_others(torch.tensor([0.0, 3.0, 6.0])).tolist()
    [4.5, 3.0, 1.5]
    """
    return (values.sum(dim=0, keepdim=True) - values) / max(1, len(values) - 1)


def of_another(values: Tensor) -> Tensor:
    """For each item that of the one before it."""
    return values.roll(1, dims=0)


def exchanged(controls: dict[str, Controls], batch: AudioBatch, exchange: Exchange) -> dict[str, Controls]:
    """The controls of all voices, with those exchanged that were made; fields of the batch stay.

    A pitch or a mode that the data bring is no work of the model's.

    Args:
        controls: By voice.
        batch: What they were made for.
        exchange: From the values of all items to others in their place.
    """
    size = max(len(value) for made in controls.values() for value in made.values())
    return {
        voice: {
            name: value if name in batch or len(value) != size else exchange(value)
            for name, value in made.items()
        }
        for voice, made in controls.items()
    }
