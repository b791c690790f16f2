"""What a timbre-remapping run leaves behind: a sweep to hear and see, and the mapper for a plug-in."""

from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from drumblender.audio_io import write_wav
from drumblender.callbacks.sounds import run_folder
from drumblender.controllers.parameter_mapper import frozen_copy, save_torchscript

_MOST_NAMES = 24  # lines that a legend can still tell apart


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
    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        controls = pl_module.mapping
        params = controls.params(controls.sweep(self.num_hits))
        audio = pl_module.play(controls.controls_of(params))
        write_wav(folder / "audio" / "sweep.wav", audio.flatten().float().cpu(), pl_module.sample_rate)
        moved = controls.modulation(controls.sweep(100 * self.num_hits)).float().cpu()
        _draw(moved, controls.param_names, folder / "plots" / "parameter_modulations.png")


class SaveMapper(L.Callback):
    """After training, writes the mapper for the TorchDrum plug-in as ``torchscript/drum_mapper.pt``.

    Args:
        center: Subtract from the onset features what training subtracted; the plug-in itself does not.
            Off, as published.
    """

    def __init__(self, center: bool = False) -> None:
        self.center = center

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        mapper = frozen_copy(pl_module.mapping.parameter_mapper(self.center)).float()  # a plug-in's
        metadata = pl_module.export_metadata() | {"centered": self.center}
        size = pl_module.mapping.mapper.in_size
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
