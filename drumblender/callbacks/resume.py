"""A run that was stopped and resumed is the run that was not."""

import random
from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

_KEY = "drumblender_resume"

Generators = dict[str, Any]


class ResumeExactly(L.Callback):
    """Makes a resumed run draw and see what the uninterrupted one would: its weights are equal bit by bit.

    A checkpoint then holds the state of all random generators (Python, numpy, torch, CUDA) as they were when
    it was saved and when its epoch began, how many batches of that epoch were done, and the value that a
    schedule that waits for a plateau had yet to see. A resumed epoch is drawn anew in the same order, the
    batches that were done are left out, and the rest follows with the generators as they were.

    Holds for data of a fixed length whose items are the same whenever they are read, in one process or many.
    """

    def __init__(self) -> None:
        self.epoch_began: Generators | None = None
        self.resumed: dict[str, Any] | None = None

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.resumed = checkpoint.get(_KEY)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        process = trainer.strategy.process_dataloader

        def watched(loader: object) -> object:
            loader = process(loader)
            if trainer.training and isinstance(loader, DataLoader) and loader.batch_sampler is not None:
                # A loader takes no other sampler once it is made, and Lightning has just made this one.
                object.__setattr__(loader, "batch_sampler", _Watched(loader.batch_sampler, self, trainer))
            return loader

        trainer.strategy.process_dataloader = watched

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.resumed is None:
            return
        plateaus = self.resumed["plateaus"]
        if self.resumed["unvalidated"]:
            self._validate(trainer)
            plateaus = _due_plateaus(trainer, trainer.current_epoch)
        for number, value in plateaus.items():
            trainer.lr_scheduler_configs[number].scheduler.step(value)

    def _validate(self, trainer: L.Trainer) -> None:
        """The validation that the epoch still lacked when it was saved; Lightning goes on without it."""
        loop = trainer.fit_loop
        every = trainer.check_val_every_n_epoch
        if not trainer.enable_validation or (every is not None and trainer.current_epoch % every):
            return
        restore_generators(_of_rank(self.resumed["now"], trainer))
        trainer.validating = True
        loop.epoch_loop.val_loop.restarting = False
        loop.epoch_loop.val_loop.run()
        trainer.training = True
        self.resumed["now"] = [generators()] * trainer.world_size
        iter(loop._data_fetcher)  # the next epoch begins after the validation
        loop.epoch_loop._restarting = False  # else Lightning would look for a validation to end
        loop.epoch_loop._batches_that_stepped += 1

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.resumed is None:
            return
        if self.resumed["batches"]:  # the draws of the order are done, those of the step come
            restore_generators(_of_rank(self.resumed["now"], trainer))
        # Lightning holds on to "restarting" to the end of this epoch, whose schedules it then leaves out.
        trainer.fit_loop._restarting = False
        self.resumed = None

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        whole = progress.processed >= trainer.num_training_batches
        epoch = trainer.fit_loop.epoch_progress.current
        due = whole and epoch.completed < epoch.ready
        unvalidated = due and progress.completed < progress.processed
        state = {"now": generators(), "epoch_began": self.epoch_began}
        checkpoint[_KEY] = _gathered(state, trainer) | {
            "batches": 0 if whole else progress.processed,
            "unvalidated": unvalidated,
            "plateaus": _due_plateaus(trainer, trainer.current_epoch + 1) if due and not unvalidated else {},
        }


class _Watched(Sampler):
    """The batches of a sampler, without those that a resumed epoch has done."""

    def __init__(self, batches: Sampler, callback: ResumeExactly, trainer: L.Trainer) -> None:
        self.batches, self.callback, self.trainer = batches, callback, trainer
        self.sampler = getattr(batches, "sampler", None)  # Lightning tells it the epoch
        self.batch_size, self.drop_last = (
            getattr(batches, name, None) for name in ("batch_size", "drop_last")
        )

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        """Not a generator: the epoch begins here, before the loader draws its seed."""
        resumed = self.callback.resumed
        done = 0
        if resumed is not None:
            done = resumed["batches"]
            began = resumed["epoch_began"] if done else resumed["now"]
            if began is not None:
                restore_generators(_of_rank(began, self.trainer))
        self.callback.epoch_began = generators()
        return self._rest(done)

    def _rest(self, done: int) -> Iterator[list[int]]:
        for number, batch in enumerate(self.batches):
            if number >= done:
                yield batch


def generators() -> Generators:
    """The state of every generator that a run may draw from, as tensors and numbers."""
    version, numbers, gauss = random.getstate()
    name, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002 that of the libraries
    return {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), place, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore_generators(state: Generators) -> None:
    """Set every generator to a state that :func:`generators` gave."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])


def _gathered(state: dict[str, Any], trainer: L.Trainer) -> dict[str, list[Any]]:
    """What each process has, under the same names."""
    every: list[dict[str, Any]] = [state]
    if trainer.world_size > 1:
        every = [{} for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(every, state)
    return {name: [each[name] for each in every] for name in state}


def _of_rank(states: list[Generators], trainer: L.Trainer) -> Generators:
    return states[min(trainer.global_rank, len(states) - 1)]


def _due_plateaus(trainer: L.Trainer, epochs: int) -> dict[int, Tensor]:
    """What schedules see at the end of an epoch, after its checkpoint; ``epochs`` are done then."""
    return {
        number: trainer.callback_metrics[config.monitor].cpu()
        for number, config in enumerate(trainer.lr_scheduler_configs)
        if config.reduce_on_plateau
        and config.interval == "epoch"
        and epochs % config.frequency == 0
        and config.monitor in trainer.callback_metrics
    }
