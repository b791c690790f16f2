"""Weights of a file against the model that they are for: named, of its shapes, and numbers."""

from collections.abc import Mapping

import torch

from drumblender.trust import shown


def load_weights(task: torch.nn.Module, state_dict: dict[str, torch.Tensor], *, source: str) -> None:
    """Load weights into a task. Raises what :func:`check_weights` raises."""
    check_weights(task, state_dict, source=source)
    task.load_state_dict(state_dict)


def check_weights(task: torch.nn.Module, state_dict: dict[str, torch.Tensor], *, source: str) -> None:
    """Make sure that weights are those of a task.

    Raises:
        ValueError: A key is missing, left over, or has another shape; the message names the first few. Or a
            parameter holds NaN.
    """
    check_tensors(state_dict, source)
    own = task.state_dict()
    if state_dict and not own.keys() & state_dict.keys():
        kind = type(task).__name__
        raise ValueError(
            f"The weights of {source} are of another model: none of them is of this {kind}, which has "
            f"{min(own, default='none')}; they have {shown(min(map(str, state_dict)))}."
        )
    wrong = [f"{key} is missing" for key in own if key not in state_dict]
    wrong += [f"{key} is unknown" for key in state_dict if key not in own]
    wrong += [
        f"{key} is {tuple(state_dict[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"The weights of {source} are of another model: {', '.join(wrong[:3])}{more}.")
    if lost := next((key for key, _ in task.named_parameters() if state_dict[key].isnan().any()), None):
        raise ValueError(f"The weights of {source} hold NaN ({lost}): take a checkpoint from before that.")


def check_tensors(state_dict: object, source: str) -> None:
    """Make sure that weights are tensors by name.

    Raises:
        ValueError: They are not.
    """
    if not isinstance(state_dict, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state_dict.values()
    ):
        raise ValueError(f"The weights of {source} are no tensors by name.")
