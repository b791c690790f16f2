"""Controls that move around a preset."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.controllers.base import Batch, Controller, module_key
from drumblender.controllers.mapper import Mapper
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import CenterOnset, ParameterMapper
from drumblender.dsp.units import clip
from drumblender.synths.base import Synth, has_unit
from drumblender.synths.preset import Preset, load_preset
from drumblender.synths.stacking import stacked_size, unstack
from drumblender.types import Controls


class MappedControls(Controller):
    """A preset, and how far features of an onset move each of its controls (Shier et al., NIME 2024).

    The features are the field ``onset`` of the batch. Controls in real units stay as the preset sets them.

    Args:
        mapper: Features of an onset to changes of the synth's controls, which lie in (0, 1).
        preset: JSON file of the controls to move around; None draws them uniformly.

    Attributes:
        moved: Sizes of the controls that move.
        param_names: A name for each number that moves.
        onset_scale: Where the mapper learned to expect its features.

    Examples:
        >>> from drumblender.controllers import LinearMapping
        >>> from drumblender.synths import Snare808
        >>> mapped = MappedControls(LinearMapping(in_size=3, out_size=14), "cfg/presets/808_snare_1.json")
        >>> mapped.serve(Snare808(44100))
        >>> mapped({"onset": torch.rand(8, 3)})["osc1.freq"].shape
        torch.Size([8, 1, 1])
        >>> mapped.param_names[:2]
        ['osc1.freq', 'osc1.mod']
    """

    preset: Float[Tensor, "1 params"]
    damping: Float[Tensor, "1 params"]

    def __init__(self, mapper: Mapper, preset: str | None = None) -> None:
        super().__init__()
        self.mapper, self.preset_path = mapper, preset
        self.onset_scale = OnsetScale(mapper.in_size)

    def build(self, synth: Synth) -> None:
        self.moved = {name: size for name, size in synth.control_sizes.items() if not has_unit(name)}
        path = self.preset_path
        start = _random_preset(synth, self.moved) if path is None else load_preset(path, synth)
        if start.values.shape[1] != self.mapper.out_size:
            raise ValueError(
                f"mapper.out_size is {self.mapper.out_size}, but {self.player} has "
                f"{start.values.shape[1]} parameters to move: set it, with cfg/remap.yaml by "
                f"--model.controls.mapper.out_size {start.values.shape[1]}."
            )
        self.register_buffer("preset", start.values)
        self.register_buffer("damping", start.damping)
        self.param_names = _param_names(self.moved, synth.control_frames)
        self.held = list(start.held)
        for name, value in start.held.items():
            self.register_buffer(module_key(name), value)

    def forward(self, batch: Batch) -> Controls:
        return self.controls_of(self.params(*self.fields(batch, ("onset",))))

    def modulation(self, onset: Float[Tensor, "batch onset_features"]) -> Float[Tensor, "batch params"]:
        """How far each parameter moves from the preset."""
        if onset.shape[-1] != self.mapper.in_size:
            raise ValueError(
                f"mapper.in_size is {self.mapper.in_size}, but there are {onset.shape[-1]} onset features."
            )
        return self.mapper(onset) * self.damping

    def params(self, onset: Float[Tensor, "batch onset_features"]) -> Float[Tensor, "batch params"]:
        """The parameters to play, in [0, 1]; one that is limited gets no gradient."""
        return clip(self.preset + self.modulation(onset), 0, 1)

    def controls_of(self, params: Float[Tensor, "batch params"]) -> Controls:
        """What the synth is played with, for parameters in [0, 1]."""
        held = {name: self.get_buffer(module_key(name)).expand(len(params), -1, -1) for name in self.held}
        return unstack(params, self.moved, self.control_frames) | held

    def sweep(self, steps: int) -> Float[Tensor, "steps onset_features"]:
        """Onset features that rise together from their least to their most."""
        level = torch.linspace(0, 1, steps, device=self.preset.device)[:, None]
        return level - self.onset_scale.center

    def parameter_mapper(self, center: bool = False) -> ParameterMapper:
        """The module that a plug-in runs; with ``center`` it subtracts what training subtracted."""
        project = CenterOnset(self.onset_scale.center) if center else None
        return ParameterMapper(self.mapper, self.damping, self.preset, project)


def _param_names(moved: dict[str, int], frames: dict[str, int]) -> list[str]:
    """A name for each number of the vector; those of a control with several are numbered."""
    counts = {name: size * frames.get(name, 1) for name, size in moved.items()}
    return [name if count == 1 else f"{name}[{i}]" for name, count in counts.items() for i in range(count)]


def _random_preset(synth: Synth, moved: dict[str, int]) -> Preset:
    if held := sorted(set(synth.control_sizes) - set(moved)):
        raise ValueError(f"Give a preset: {type(synth).__name__} needs {', '.join(held)} in real units.")
    size = stacked_size(moved, synth.control_frames)
    return Preset(torch.rand(1, size), torch.ones(1, size), {})
