"""Many mappings trained side by side, each as it would be alone.

The mappings are one batched network (``torch.func``); the rendered hits of all members are rows of one batch,
in which nothing couples them. Adam, the plateau schedule and the order of the hits are kept for each member.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from drumblender.dsp.units import clip
from drumblender.features import Feature
from drumblender.losses import FeatureDifferenceLoss
from experiments.remap.members import Member, Start
from experiments.remap.optimisers import Adam, Plateau


@dataclass(frozen=True)
class Schedule:
    """How long and how fast; the defaults are the published ones for the linear mapping.

    Args:
        lr: Learning rate to start with.
        epochs: Epochs of training.
        batch_size: Hits of a member in a step.
        factor: What a plateau multiplies the learning rate by.
        patience: Epochs without improvement before that.
        chunk: Hits rendered at a time: bounds the memory, changes no number.
    """

    lr: float = 0.005
    epochs: int = 250
    batch_size: int = 16
    factor: float = 0.5
    patience: int = 20
    chunk: int = 64


@dataclass
class History:
    """What a training did: a row for each epoch, and for each step the losses of the members in it."""

    step_loss: list[Float[Tensor, "members"]] = field(default_factory=list)  # NaN for those without a batch
    step_hits: list[Int[Tensor, "members"]] = field(default_factory=list)
    val_loss: list[Float[Tensor, "members"]] = field(default_factory=list)
    lr: list[Float[Tensor, "members"]] = field(default_factory=list)


class Ensemble:
    """The mappings of all members, and how they play.

    Args:
        members: The runs.
        starts: What their seeds give.
        features: Describe what is rendered.
        num_samples: Length of a rendered hit; None for what the features read.
        loss: Compares the differences of features.
        dtype: float32 as the single runs, or float64.
    """

    def __init__(
        self,
        members: list[Member],
        starts: list[Start],
        features: Feature,
        num_samples: int | None = None,
        loss: FeatureDifferenceLoss | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.members, self.features, self.dtype = members, features, dtype
        self.num_samples = num_samples or features.receptive_field
        self.distance = (loss or FeatureDifferenceLoss()).loss
        self.synth = starts[0].synth
        self.base = copy.deepcopy(starts[0].mapper)
        weights, _ = stack_module_state([starts[member.start].mapper for member in members])
        self.weights = {name: value.detach().to(dtype).requires_grad_() for name, value in weights.items()}
        self.draws = [start.draws for start in starts]
        self.place = torch.tensor([member.start for member in members])
        noise = [start.synth.noise for start in starts]
        self.noise = None if noise[0] is None else torch.cat(noise)[:, : self.num_samples].to(dtype)
        self.preset = torch.stack([member.preset for member in members]).to(dtype)
        self.damping = torch.stack([member.damping for member in members]).to(dtype)
        self.reference = self._references()

    @property
    def num_train(self) -> int:
        """Hits that the members train with, together."""
        return sum(len(member.drum.train_ids) for member in self.members)

    def params(
        self, onset: Float[Tensor, "members hits onset_features"]
    ) -> Float[Tensor, "members hits params"]:
        """The parameters that each member plays its hits with."""

        def one(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return functional_call(self.base, weights, (inputs,))

        moved = vmap(one)(self.weights, onset.to(self.dtype)) * self.damping[:, None]
        return clip(self.preset[:, None] + moved, 0, 1)

    def difference(self, params: Float[Tensor, "rows params"], owner: Int[Tensor, "rows"]) -> Tensor:
        """Features of the rendered rows less those of their members' presets."""
        return self._features(params, self.place[owner]) - self.reference[owner]

    def _features(self, params: Float[Tensor, "rows params"], place: Int[Tensor, "rows"]) -> Tensor:
        noise = self.noise
        if noise is not None and len(noise) > 1:
            noise = noise[place]
        controls = {name: params[:, i, None, None] for i, name in enumerate(self.synth.control_sizes)}
        return self.features(self.synth(controls, self.num_samples, noise=noise))

    @torch.no_grad()
    def _references(self) -> Float[Tensor, "members features"]:
        """Features of the presets; each is rendered once for each seed."""
        keys = torch.cat([self.preset, self.place[:, None]], dim=1)
        rows, which = keys.unique(dim=0, return_inverse=True)
        return self._features(rows[:, :-1].contiguous(), rows[:, -1].long())[which]

    def backward(
        self,
        params: Float[Tensor, "members hits params"],
        target: Float[Tensor, "members hits features"],
        weight: Float[Tensor, "members features"],
        valid: Bool[Tensor, "members hits"],
        chunk: int,
        error: Float[Tensor, "rows features"] | None = None,
    ) -> Float[Tensor, "members"]:
        """Loss of each member, and the gradients of all that ``params`` come from.

        A member without a valid hit has the loss NaN. ``error`` is filled with the distances of the valid
        hits, before any weight.

        The rows are rendered and differentiated chunk by chunk, so that memory depends on the chunk alone;
        the gradients then go through the mappings at once.
        """
        owner, _ = valid.nonzero(as_tuple=True)
        count = valid.sum(dim=1)
        rows, wanted = params[valid], target[valid].to(self.dtype)
        grad = torch.empty_like(rows)
        losses = torch.zeros(len(params), dtype=self.dtype)
        for part in torch.arange(len(rows)).split(chunk):
            leaf = rows[part].detach().requires_grad_()
            distance = self.distance(self.difference(leaf, owner[part]), wanted[part])
            if error is not None:
                error[part] = distance.detach()
            row_loss = (distance * weight[owner[part]].to(self.dtype)).mean(dim=1) / count[owner[part]]
            (grad[part],) = torch.autograd.grad(row_loss.sum(), leaf)
            losses.index_add_(0, owner[part], row_loss.detach())
        rows.backward(grad)
        return torch.where(count > 0, losses, torch.nan)

    @torch.no_grad()
    def errors(self, ids: list[Int[Tensor, "hits"]], chunk: int) -> list[Float[Tensor, "hits features"]]:
        """For each member, the distance of each feature of the hits with these numbers, before any weight."""
        onset, target, _, valid = self.padded(ids)
        owner, _ = valid.nonzero(as_tuple=True)
        if not len(owner):
            return [target.new_zeros(0, target.shape[-1]) for _ in ids]
        rows = self.params(onset)[valid]
        parts = [self.difference(rows[part], owner[part]) for part in torch.arange(len(rows)).split(chunk)]
        distance = self.distance(torch.cat(parts), target[valid].to(self.dtype))
        return list(distance.split([len(each) for each in ids]))

    def padded(
        self, ids: list[Int[Tensor, "hits"]]
    ) -> tuple[
        Float[Tensor, "members most onset_features"],
        Float[Tensor, "members most features"],
        Float[Tensor, "members features"],
        Bool[Tensor, "members most"],
    ]:
        """Onset features, wanted differences, weights and which are valid; shorter members are filled up."""
        most = max(len(each) for each in ids)
        filled = torch.stack([torch.nn.functional.pad(each, (0, most - len(each))) for each in ids])
        drums = [member.drum for member in self.members]
        onset = torch.stack([drum.onset[row] for drum, row in zip(drums, filled, strict=True)])
        target = torch.stack([drum.difference[row] for drum, row in zip(drums, filled, strict=True)])
        weight = torch.stack([drum.weight for drum in drums])
        valid = torch.arange(most) < torch.tensor([len(each) for each in ids])[:, None]
        return onset, target, weight, valid

    def mapper_state(self, number: int) -> dict[str, Tensor]:
        """The weights of one member."""
        return {name: value.detach()[number].clone() for name, value in self.weights.items()}


def train(
    ensemble: Ensemble, schedule: Schedule, after_epoch: Callable[[int, History], bool] = lambda *_: False
) -> History:
    """Train all members; each sees its hits in the order in which its own run would shuffle them.

    What ``after_epoch`` answers with True ends the training before its last epoch.
    """
    optimizer = Adam(ensemble.weights)
    plateau = Plateau(schedule.lr, len(ensemble.members), schedule.factor, schedule.patience)
    orders = [torch.Generator() for _ in ensemble.draws]
    for generator, state in zip(orders, ensemble.draws, strict=True):
        generator.set_state(state)
    history = History()
    for epoch in range(schedule.epochs):
        history.lr.append(plateau.lr.clone())
        order = shuffled(ensemble, orders)
        most = max(len(ids) for ids in order)
        for first in range(0, most, schedule.batch_size):
            batch = [ids[first : first + schedule.batch_size] for ids in order]
            onset, target, weight, valid = ensemble.padded(batch)
            for value in ensemble.weights.values():
                value.grad = None
            loss = ensemble.backward(ensemble.params(onset), target, weight, valid, schedule.chunk)
            optimizer.step(plateau.lr, valid.any(dim=1))
            history.step_loss.append(loss)
            history.step_hits.append(valid.sum(dim=1))
        history.val_loss.append(
            _watched(ensemble, history, math.ceil(most / schedule.batch_size), schedule.chunk)
        )
        plateau.step(history.val_loss[-1])
        if after_epoch(epoch, history):
            break
    return history


def _watched(ensemble: Ensemble, history: History, steps: int, chunk: int) -> Float[Tensor, "members"]:
    """The validation loss of each member; the mean of its training losses for one that has no such hits."""
    drums = [member.drum for member in ensemble.members]
    errors = ensemble.errors([drum.val_ids for drum in drums], chunk)
    hits = torch.stack(history.step_hits[-steps:])
    trained = (torch.stack(history.step_loss[-steps:]).nan_to_num() * hits).sum(dim=0) / hits.sum(dim=0)
    means = [
        (error * drum.weight).mean() if len(error) else loss
        for drum, error, loss in zip(drums, errors, trained, strict=True)
    ]
    return torch.stack(means)


def shuffled(ensemble: Ensemble, orders: list[torch.Generator]) -> list[Int[Tensor, "hits"]]:
    """Each member's training hits in the order of this epoch.

    A run draws three numbers an epoch: a seed for the training's workers, one for the order, and one for the
    validation's workers, where it validates. Runs of one seed draw the same ones.
    """
    validates = any(len(member.drum.val_ids) for member in ensemble.members)
    seeds = []
    for generator in orders:
        draws = 3 if validates else 2
        drawn = [int(torch.empty((), dtype=torch.int64).random_(generator=generator)) for _ in range(draws)]
        seeds.append(drawn[1])
    orders_of_hits = []
    for member in ensemble.members:
        ids = member.drum.train_ids
        generator = torch.Generator().manual_seed(seeds[member.start])
        orders_of_hits.append(ids[torch.randperm(len(ids), generator=generator)])
    return orders_of_hits
