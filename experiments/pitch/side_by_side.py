"""Networks of several seeds as one batched network, and steps that train each as it would be alone."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from drumblender.losses.calling import call_loss
from drumblender.tasks import PitchTask

Batch = dict[str, Tensor]
_WARM_UP = 3  # steps before one is recorded, in which libraries choose how to compute


class Ensemble:
    """The networks of all seeds, and what they play.

    Args:
        tasks: One a seed, on the device that is to train.
    """

    def __init__(self, tasks: list[PitchTask]) -> None:
        self.tasks, self.size = tasks, len(tasks)
        voices = [task.voices["tone"] for task in tasks]
        self.network, self.synth = voices[0].controls, voices[0].synth
        weights, self.buffers = stack_module_state([voice.controls for voice in voices])
        self.weights = {name: value.detach().requires_grad_() for name, value in weights.items()}

    def controls(self, batch: Batch) -> dict[str, Tensor]:
        """From fields ``(seeds, tones, ...)``, as one batch of all tones in turn."""

        def one(weights: Batch, buffers: Batch, fields: Batch) -> Batch:
            return functional_call(self.network, (weights, buffers), (fields,))

        made = vmap(one, randomness="different")(self.weights, self.buffers, batch)
        return {name: value.flatten(0, 1) for name, value in made.items()}

    def losses(self, batch: Batch, *, holds: bool) -> Tensor:
        """Of each seed, ``(seeds,)``."""
        controls = self.controls(batch)
        if holds:
            controls = {
                name: value if name.startswith("f0") else value.detach() for name, value in controls.items()
            }
        target = batch["audio"].flatten(0, 1)
        prediction = self.synth(controls, target.shape[-1])
        loss = self.tasks[0].hold_loss if holds else self.tasks[0].loss
        sounds = (sound.unflatten(0, (self.size, -1)) for sound in (prediction, target))
        return vmap(partial(call_loss, loss))(*sounds)

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    @torch.no_grad()
    def pitches(self, fields: Batch) -> Tensor:
        """In Hz, of the same tones for every seed, ``(seeds, tones, frames)``."""
        self.train(False)
        heard = {name: value.expand(self.size, *value.shape) for name, value in fields.items()}
        f0_hz = self.synth.to_units(self.controls(heard))["f0_hz"][..., 0].unflatten(0, (self.size, -1))
        self.train(True)
        return f0_hz

    def give_back(self) -> None:
        """Put the weights of each seed into its task."""
        for number, task in enumerate(self.tasks):
            state = {name: value[number].detach() for name, value in self.weights.items()}
            task.voices["tone"].controls.load_state_dict(state, strict=False)


class Training:
    """Steps of an ensemble on one set of tones.

    Args:
        ensemble: What is trained.
        tones: The fields of all tones, on the device.
        optimizer: One as a single run has it; its kind and settings are taken over.
        batch_size: Tones of a seed in a step.
        clip: Longest gradient of a seed, or None.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        tones: Batch,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        clip: float | None,
    ) -> None:
        self.ensemble, self.tones, self.clip = ensemble, tones, clip
        device = tones["audio"].device
        self.recorded = device.type == "cuda"
        settings = {name: optimizer.defaults[name] for name in ("lr", "betas", "eps", "weight_decay")}
        if self.recorded:
            settings |= {"capturable": True, "lr": torch.tensor(settings["lr"], device=device)}
        self.weights = list(ensemble.weights.values())
        self.optimizer = type(optimizer)(self.weights, **settings)
        self.grads = [torch.zeros_like(weight) for weight in self.weights]
        self.rows = torch.zeros(ensemble.size, batch_size, dtype=torch.long, device=device)
        self.loss = torch.zeros(ensemble.size, device=device)
        self._steps: dict[bool, Callable[[], None]] = {}

    def set_rate(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            if self.recorded:
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def step(self, rows: Tensor, *, holds: bool) -> None:
        """Train with these tones, ``(seeds, tones)``."""
        self.rows.copy_(rows, non_blocking=True)
        if holds not in self._steps:
            self._steps[holds] = self._record(holds) if self.recorded else lambda: self._step(holds)
        self._steps[holds]()

    def _step(self, holds: bool) -> None:
        batch = {name: value[self.rows] for name, value in self.tones.items()}
        losses = self.ensemble.losses(batch, holds=holds)
        grads = torch.autograd.grad(losses.sum(), self.weights, allow_unused=True)
        share = torch.ones_like(losses)
        if self.clip is not None:
            squares = (grad.flatten(1).square().sum(dim=1) for grad in grads if grad is not None)
            share = (self.clip / (sum(squares).sqrt() + 1e-6)).clamp(max=1.0)
        for weight, grad, kept in zip(self.weights, grads, self.grads, strict=True):
            weight.grad = None if grad is None else kept  # the optimiser passes over what is held
            if grad is not None:
                kept.copy_(grad * share.view(-1, *[1] * (grad.ndim - 1)))
        self.optimizer.step()
        self.loss.copy_(losses.detach())

    def _record(self, holds: bool) -> Callable[[], None]:
        """The step as a graph; the weights and what the optimiser knows of them are as before."""
        before = {place: value.detach().clone() for place, value in self._state()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._step(holds)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(holds)
        with torch.no_grad():
            for place, value in self._state():
                value.copy_(before[place]) if place in before else value.zero_()
        return graph.replay

    def _state(self) -> Iterator[tuple[tuple[int, str], Tensor]]:
        for number, weight in enumerate(self.weights):
            yield (number, "weight"), weight
            for name, value in self.optimizer.state[weight].items():
                yield (number, name), value
