"""What a timbre-remapping run leaves behind: a sweep to hear and see, and the mapper for a plug-in."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor

from drumblender.callbacks.sounds import run_folder, write_wav
from drumblender.controllers.parameter_mapper import ParameterMapper, frozen_copy, save_torchscript

_MOST_NAMES = 24  # lines that a legend can still tell apart


@runtime_checkable
class Remapping(Protocol):
    """What the callbacks here need of a task."""

    sample_rate: int
    param_names: list[str]

    def sweep(self, steps: int) -> Tensor: ...
    def modulation(self, onset: Tensor) -> Tensor: ...
    def params(self, onset: Tensor) -> Tensor: ...
    def play(self, params: Tensor) -> Tensor: ...
    def parameter_mapper(self, center: bool) -> ParameterMapper: ...
    def export_metadata(self) -> dict[str, object]: ...


class SweepOnsets(L.Callback):
    """After training, lets all onset features rise together from 0 to 1.

    Writes the hits one after another as ``audio/sweep.wav``, and how each parameter moves as
    ``plots/parameter_modulations.png``, in the folder of the run.

    Args:
        num_hits: Steps of the sweep that are heard; the picture has a hundred times as many.
    """

    def __init__(self, num_hits: int = 16) -> None:
        if num_hits < 2:
            raise ValueError(f"A sweep has 2 hits at least, got {num_hits=}.")
        self.num_hits = num_hits

    @torch.no_grad()
    def on_train_end(self, trainer: L.Trainer, pl_module: Remapping) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        audio = pl_module.play(pl_module.params(pl_module.sweep(self.num_hits)))
        write_wav(folder / "audio" / "sweep.wav", audio.flatten().float().cpu(), pl_module.sample_rate)
        moved = pl_module.modulation(pl_module.sweep(100 * self.num_hits)).float().cpu()
        _draw(moved, pl_module.param_names, folder / "plots" / "parameter_modulations.png")


class SaveMapper(L.Callback):
    """After training, writes the mapper for the TorchDrum plug-in as ``torchscript/drum_mapper.pt``.

    Args:
        center: Subtract from the onset features what training subtracted; the plug-in itself does not.
            Off, as published.
    """

    def __init__(self, center: bool = False) -> None:
        self.center = center

    def on_train_end(self, trainer: L.Trainer, pl_module: Remapping) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        mapper = frozen_copy(pl_module.parameter_mapper(self.center)).float()  # what a plug-in gives it
        metadata = pl_module.export_metadata() | {"centered": self.center}
        size = pl_module.sweep(2).shape[1]
        save_torchscript(mapper, folder / "torchscript" / "drum_mapper.pt", size, metadata)


def _draw(moved: Tensor, names: list[str], path: Path) -> None:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    level = torch.linspace(0, 1, len(moved))
    for name, line in zip(names, moved.T, strict=True):
        axes.plot(level, line, label=name)
    axes.set(xlabel="onset features, all alike", ylabel="parameter less preset")
    if len(names) <= _MOST_NAMES:
        figure.legend(loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
