"""Start a training from the weights of another one: all that both models have, or some parts."""

import logging
from collections.abc import Iterable, Sequence

import torch
from jsonargparse import Namespace

from drumblender.checkpoints import read_whole
from drumblender.console import UsageError
from drumblender.inference.shelf import find_checkpoint
from drumblender.tasks import SynthesisTask
from drumblender.weights_check import check_tensors

_log = logging.getLogger(__name__)


def start_from(model: SynthesisTask, config: Namespace) -> None:
    """Take weights of another training where --init-from names one, and tell which."""
    path, parts = config.get("init_from"), config.get("init_part") or []
    if path is None:
        if parts:
            raise UsageError("--init-part says what of --init-from is taken: name a checkpoint.")
        return
    if config.ckpt_path or config.get("resume"):
        raise UsageError("--init-from starts a new training, --resume and --ckpt_path go on with one.")
    found = find_checkpoint(path)
    weights = read_whole(found).get("state_dict", {})
    taken = take_weights(model, weights, parts, source=path)
    told = {"not taken": set(weights) - taken, "as it was built": set(model.state_dict()) - taken}
    left = "".join(f"; {what}: {_named(names)}" for what, names in told.items() if names)
    _log.info("Took %d weights of %s%s.", len(taken), path, left or ", which is all")


def _named(names: Iterable[str], most: int = 4) -> str:
    parts = sorted({".".join(name.split(".")[:4]) for name in names})
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return f"{', '.join(parts[:most])}{more} ({len(set(names))} weights)"


def take_weights(
    task: torch.nn.Module, state_dict: dict[str, torch.Tensor], parts: Sequence[str] = (), *, source: str
) -> set[str]:
    """Start from the weights of another training: all that both models have, or only some parts.

    Args:
        task: Takes them.
        state_dict: Weights by name.
        parts: Dotted names such as ``voices.noise``; none takes every weight of a name that both have.
        source: The file, for messages.

    Returns:
        The names that were taken.

    Raises:
        ValueError: A part that either model lacks, nothing in common, or a weight of another shape.
    """
    own = task.state_dict()
    check_tensors(state_dict, source)
    for part in parts:
        for where, names in ((source, state_dict), ("this model", own)):
            if not any(_inside(name, part) for name in names):
                raise ValueError(f"{where} has no {part}; it has {', '.join(_two_deep(names))}.")
    wanted = [name for name in own if not parts or any(_inside(name, part) for part in parts)]
    taken = {name for name in wanted if name in state_dict}
    if not taken:
        raise ValueError(f"{source} and this model have no weights in common.")
    for name in sorted(taken):
        theirs, ours = tuple(state_dict[name].shape), tuple(own[name].shape)
        if theirs != ours:
            remedy = "leave that part out" if parts else "name the parts to take with --init-part"
            raise ValueError(f"{name} is {theirs} in {source} and {ours} in this model: {remedy}.")
    task.load_state_dict({name: state_dict[name] for name in taken}, strict=False)
    return taken


def _inside(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _two_deep(names: Iterable[str]) -> list[str]:
    """The parts that names of weights tell, such as ``voices.noise``."""
    return sorted({".".join(name.split(".")[:2]) for name in names})
