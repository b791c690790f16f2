"""`test` and `validate` in several processes give the numbers of one."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, Sampler, SequentialSampler


class DealBatches(L.Callback):
    """Deals whole batches out to the processes, each once, as one process would make them.

    Lightning deals single items, and some twice so that all processes have as many. Tasks seed their noise by
    the number that a batch has in one process, so that metrics are the same.

    Where there are fewer batches than processes, each process is given all of them, and the task is told
    (``every_batch``): a process without any would wait for ever. A loader that shuffles or has a sampler of
    its own is left alone.

    Examples:
        >>> trainer = L.Trainer(callbacks=[DealBatches()], logger=False)
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.world_size < 2 or trainer.state.fn not in (TrainerFn.TESTING, TrainerFn.VALIDATING):
            return
        process = trainer.strategy.process_dataloader

        def dealt(loader: Any) -> Any:
            if isinstance(loader, DataLoader):
                _deal(loader, loader.sampler, trainer, pl_module)
            return process(loader)

        trainer.strategy.process_dataloader = dealt

    def on_validation_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        _count_in_fractions(trainer)

    def on_test_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        _count_in_fractions(trainer)


def _count_in_fractions(trainer: L.Trainer) -> None:
    """Let the mean of a logged value be that over all items where processes have unlike numbers of them.

    Lightning averages the numbers of items, too, and as whole numbers: of 4 and 3 it makes 3.
    """
    if trainer.world_size < 2:
        return
    for logged in trainer._results.values():  # no public call tells how logged values are reduced
        if logged.is_tensor and logged.meta.is_mean_reduction:
            logged.cumulated_batch_size = logged.cumulated_batch_size.float()


class _Dealt(Sampler):
    """Every so many batches, from one's own on."""

    def __init__(self, batches: BatchSampler, rank: int, processes: int) -> None:
        self.batches, self.rank, self.processes = batches, rank, processes
        self.sampler, self.batch_size, self.drop_last = (
            batches.sampler,
            batches.batch_size,
            batches.drop_last,
        )

    def __len__(self) -> int:
        return len(range(self.rank, len(self.batches), self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self.batches, self.rank, None, self.processes)


def _deal(loader: DataLoader, sampler: Any, trainer: L.Trainer, module: L.LightningModule) -> None:
    """Give a loader of Lightning's other batches."""
    if type(sampler) is not DistributedSampler or sampler.shuffle or loader.batch_size is None:
        return
    batches = BatchSampler(SequentialSampler(loader.dataset), loader.batch_size, loader.drop_last)
    every = len(batches) < trainer.world_size
    module.every_batch = every
    place = (0, 1) if every else (trainer.global_rank, trainer.world_size)
    # A loader takes no other sampler once it is made, and Lightning has just made this one.
    object.__setattr__(loader, "batch_sampler", _Dealt(batches, *place))
