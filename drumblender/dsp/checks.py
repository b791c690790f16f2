"""Checks that losses and metrics share."""

from drumblender.types import Audio


def check_sounds(prediction: Audio, target: Audio) -> None:
    """Make sure that two mono sounds have one shape, as all that compares sounds needs.

    Raises:
        ValueError: Channels, nothing at all, or shapes that differ.
    """
    shapes = tuple(prediction.shape), tuple(target.shape)
    if prediction.ndim != 2 or target.ndim != 2 or 0 in shapes[0]:
        raise ValueError(f"Compares mono sounds (batch, samples), got {shapes[0]} and {shapes[1]}.")
    if shapes[0] != shapes[1]:
        raise ValueError(f"Shapes differ: prediction {shapes[0]}, target {shapes[1]}.")
