"""A search down the gradient."""

import torch

from drumblender.controllers.free import FreeControls
from drumblender.matching.objective import Objective
from drumblender.matching.patience import Patience


def gradient_search(
    objective: Objective, free: FreeControls, renders: int, lr: float, patience: Patience
) -> int:
    """Adam on all sounds of ``free`` as one batch; each goes its own way.

    A sound whose gradient is not finite stays where it is in that step. One whose loss is not finite goes
    back to where it last was, without its momentum.

    Args:
        objective: Renders and remembers.
        free: The starts; holds the last controls afterwards.
        renders: Budget: steps times sounds is at most this.
        lr: Learning rate, on logits.
        patience: Ends the search early.

    Returns:
        How many steps of single sounds were left out.
    """
    params = list(free.parameters())
    optimizer = torch.optim.Adam(params, lr)
    safe = [param.detach().clone() for param in params]
    skipped = 0
    for _ in range(renders // free.num_sounds):
        losses = objective(free.values())
        if patience.is_over(objective.best_loss):
            break
        lost = ~losses.detach().isfinite()
        optimizer.zero_grad()
        torch.where(lost, 0.0, losses).sum().backward()
        stays = lost | ~torch.stack([param.grad.flatten(1).isfinite().all(dim=1) for param in params]).all(0)
        skipped += int(stays.sum())
        with torch.no_grad():
            for param, good in zip(params, safe, strict=True):
                good[~lost] = param[~lost]
                param.grad[stays] = 0
            optimizer.step()
            for param, good in zip(params, safe, strict=True):
                param[stays] = good[stays]
                optimizer.state[param]["exp_avg"][lost] = 0
    return skipped
