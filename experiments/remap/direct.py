"""Direct optimisation: the parameters of every test hit themselves, without a mapping: what could be reached.

As published: nothing is damped, the hits of a drum and preset share one learning rate, and the last iterate
counts. Each of these is a choice.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.units import clip
from experiments.remap.ensemble import Ensemble
from experiments.remap.optimisers import Adam, Plateau


@dataclass(frozen=True)
class DirectSchedule:
    """The defaults are the published ones.

    Args:
        iterations: Steps.
        lr: Learning rate to start with.
        factor: What a plateau of the loss multiplies it by.
        patience: Steps without improvement before that.
        damped: Damp the parameters as the mappings are damped.
        best: Keep the iterate of each hit with the least error instead of the last.
        chunk: Hits rendered at a time.
    """

    iterations: int = 1000
    lr: float = 0.005
    factor: float = 0.5
    patience: int = 50
    damped: bool = False
    best: bool = False
    chunk: int = 64


@dataclass(frozen=True)
class DirectResult:
    """Errors of each member's test hits, by feature; and the loss and learning rate of each step."""

    errors: list[Float[Tensor, "hits features"]]
    loss: Float[Tensor, "iterations members"]
    lr: Float[Tensor, "iterations members"]


def optimise_directly(ensemble: Ensemble, schedule: DirectSchedule) -> DirectResult:
    """Search the parameters of the test hits of every member; members do not touch one another."""
    ids = [member.drum.test_ids for member in ensemble.members]
    _, target, _, valid = ensemble.padded(ids)
    owner, _ = valid.nonzero(as_tuple=True)
    size = ensemble.preset.shape[1]
    moved = torch.zeros(*valid.shape, size, dtype=ensemble.dtype, requires_grad=True)
    weight = torch.ones(len(ids), target.shape[-1])
    optimizer = Adam({"moved": moved})
    plateau = Plateau(schedule.lr, len(ids), schedule.factor, schedule.patience)
    damping = ensemble.damping if schedule.damped else torch.ones_like(ensemble.damping)
    losses, rates = [], []
    least = torch.full((len(owner), target.shape[-1]), torch.inf, dtype=ensemble.dtype)
    for _ in range(schedule.iterations):
        params = clip(ensemble.preset[:, None] + moved * damping[:, None], 0, 1)
        moved.grad = None
        error = torch.empty_like(least)
        loss = ensemble.backward(params, target, weight, valid, schedule.chunk, error)
        better = error.mean(dim=1) < least.mean(dim=1)
        least = torch.where(better[:, None], error, least) if schedule.best else error
        optimizer.step(plateau.lr, torch.ones(len(ids), dtype=torch.bool))
        plateau.step(loss)
        losses.append(loss)
        rates.append(plateau.lr)
    errors = list(least.split([len(each) for each in ids]))
    return DirectResult(errors, torch.stack(losses), torch.stack(rates))
