"""A trained mapper as one module that a plug-in can run: onset features in, parameters out."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CenterOnset(nn.Module):
    """Subtracts what a mapper's training subtracted from its onset features."""

    center: Tensor

    def __init__(self, center: Float[Tensor, "features"]) -> None:
        super().__init__()
        self.register_buffer("center", center.detach().clone())

    def forward(self, onset: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        return onset - self.center


class ParameterMapper(nn.Module):
    """What the TorchDrum plug-in loads: from onset features ``(hits, features)`` to ``(hits + 1, params)``.

    A row for each hit is how far each parameter moves, limited to [-1, 1]; the last row is the preset, in
    [0, 1]. The plug-in gives one hit: row 0 are the moves, row 1 is the preset.

    Args:
        model: The mapper.
        damp: Factor for each move.
        patch: The preset.
        param_project: What happens to the onset features first.

    Examples:
        >>> preset = torch.full((1, 14), 0.5)
        >>> mapper = ParameterMapper(nn.Linear(3, 14), damp=torch.ones(1, 14), patch=preset)
        >>> moved, patch = mapper(torch.rand(1, 3))
        >>> moved.shape, torch.equal(patch, preset[0])
        (torch.Size([14]), True)
    """

    damp: Tensor
    patch: Tensor

    def __init__(
        self,
        model: nn.Module,
        damp: Float[Tensor, "1 params"],
        patch: Float[Tensor, "1 params"],
        param_project: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("damp", damp.detach().clone())
        self.register_buffer("patch", patch.detach().clone())
        self.param_project = nn.Identity() if param_project is None else param_project

    def forward(self, onset: Float[Tensor, "hits features"]) -> Float[Tensor, "hits+1 params"]:
        moved = (self.model(self.param_project(onset)) * self.damp).clamp(-1.0, 1.0)
        return torch.cat([moved, self.patch], dim=0)


def save_torchscript(
    mapper: nn.Module, path: str | Path, in_size: int, metadata: Mapping[str, object] | None = None
) -> None:
    """Write a TorchScript archive, as the plug-in opens it.

    Args:
        mapper: A ``ParameterMapper``, or what wraps one; left as it is.
        path: File to write; its folder is made.
        in_size: Onset features.
        metadata: Kept in the archive as ``metadata.json``, for readers other than the plug-in.
    """
    with torch.no_grad():
        script = torch.jit.trace(frozen_copy(mapper), torch.ones(1, in_size))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    extra = {"metadata.json": json.dumps(dict(metadata))} if metadata else {}
    torch.jit.save(script, str(path), _extra_files=extra)


def frozen_copy(mapper: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode, that needs no gradients: it runs on a plug-in's audio thread."""
    return copy.deepcopy(mapper).cpu().eval().requires_grad_(False)
