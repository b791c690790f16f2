"""Adam and the plateau schedule for runs side by side: each member as it would be alone."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Adam:
    """Adam for stacked weights, in which each member counts its own steps and has its own learning rate."""

    def __init__(
        self, params: dict[str, Tensor], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ):
        self.params, self.betas, self.eps = params, betas, eps
        self.mean = {name: torch.zeros_like(value) for name, value in params.items()}
        self.square = {name: torch.zeros_like(value) for name, value in params.items()}
        self.steps = torch.zeros(len(next(iter(params.values()))), dtype=torch.float64)

    @torch.no_grad()
    def step(self, lr: Float[Tensor, "members"], active: Bool[Tensor, "members"]) -> None:
        """Update the active members from their gradients; the others keep weights, moments and count."""
        self.steps += active
        beta, beta_square = self.betas
        steps = self.steps.clamp(min=1)
        size, root = lr / (1 - beta**steps), (1 - beta_square**steps).sqrt()
        for name, value in self.params.items():
            shape = (-1,) + (1,) * (value.ndim - 1)
            on, grad = active.view(shape), value.grad
            mean, square = self.mean[name], self.square[name]
            mean.copy_(torch.where(on, torch.lerp(mean, grad, 1 - beta), mean))
            square.copy_(torch.where(on, square * beta_square + grad * grad * (1 - beta_square), square))
            moved = (
                size.view(shape).to(value) * mean / (square.sqrt() / root.view(shape).to(value) + self.eps)
            )
            value.copy_(torch.where(on, value - moved, value))


class Plateau:
    """``ReduceLROnPlateau`` for each member: lowers its learning rate when its loss stops falling."""

    def __init__(self, lr: float, count: int, factor: float, patience: int) -> None:
        self.factor, self.patience = factor, patience
        self.lr = torch.full((count,), lr, dtype=torch.float64)
        self.best = torch.full((count,), torch.inf, dtype=torch.float64)
        self.bad = torch.zeros(count, dtype=torch.long)

    def step(self, loss: Float[Tensor, "members"]) -> None:
        loss = loss.double()
        better = loss < self.best * (1 - 1e-4)
        self.best = torch.where(better, loss, self.best)
        self.bad = torch.where(better, 0, self.bad + 1)
        tired = self.bad > self.patience
        lower = self.lr * self.factor
        self.lr = torch.where(tired & (self.lr - lower > 1e-8), lower, self.lr)
        self.bad = torch.where(tired, 0, self.bad)
