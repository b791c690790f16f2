"""Encoders of control curves: pitch, loudness and what else is known of each frame; no audio is heard."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.units import db_to_gain
from drumblender.encoders.base import Encoder
from drumblender.nets.causal_attention import CausalBlock
from drumblender.nets.gru import gru

_QUIETEST_DB = -80.0
_SHUT = -50.0  # for a sigmoid, nothing

Curve = Float[Tensor, "*batch frames"]


class ControlEncoder(Encoder):
    """Describes each frame from curves of the batch and from the frames before it, never from later ones.

    ``advance`` goes on where an earlier call stopped: blocks of any size give what the whole gives.

    Args:
        inputs: Fields of the batch, in order; see ``scale_curve``.
        loudness: How ``loudness_db`` is seen: as linear gain, as published, or as decibels in (0, 1).

    Examples:
        >>> class Loud(ControlEncoder):
        ...     num_features = 1
        ...
        ...     def advance(self, state, *curves):
        ...         return self.scaled(curves), state
        >>> half = torch.full((1, 3), -6.0)
        >>> Loud(inputs=("loudness_db",))(half).squeeze().round(decimals=1)  # as linear gain
        tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self,
        inputs: Sequence[str] = ("f0_hz", "loudness_db"),
        loudness: Literal["linear", "db"] = "linear",
    ) -> None:
        super().__init__()
        if loudness not in ("linear", "db"):
            raise ValueError(f"loudness is 'linear' or 'db', got {loudness!r}.")
        if not inputs or (unknown := sorted(set(inputs) - set(_SCALES))):
            raise ValueError(f"Needs inputs among {', '.join(_SCALES)}; got {unknown if inputs else 'none'}.")
        self.hears = tuple(inputs)
        self.loudness = loudness

    def forward(self, *curves: Curve) -> Float[Tensor, "batch frames features"]:
        """Encode; a curve for each name in ``hears``."""
        return self.advance(None, *curves)[0]

    @abstractmethod
    def advance(self, state: Any, *curves: Curve) -> tuple[Float[Tensor, "batch frames features"], Any]:
        """Features of the next frames, and the state after them; None is the state before the first."""

    def scaled(self, curves: Sequence[Curve]) -> Float[Tensor, "*batch frames inputs"]:
        """All curves side by side, each about as large as 1.

        Raises:
            ValueError: Too few or too many curves, or of different shapes.
        """
        if len(curves) != len(self.hears) or any(curve.shape != curves[0].shape for curve in curves):
            shapes = [tuple(curve.shape) for curve in curves]
            raise ValueError(f"Needs a curve (batch, frames) for each of {self.hears}, got {shapes}.")
        columns = [
            db_to_gain(curve)
            if name == "loudness_db" and self.loudness == "linear"
            else scale_curve(name, curve)
            for name, curve in zip(self.hears, curves, strict=True)
        ]
        return torch.stack(columns, dim=-1)


class ControlGRU(ControlEncoder):
    """A GRU over control curves (DDSP; sizes and scales of Neural Guitar).

    Args:
        hidden_size: Features a frame.
        num_layers: Layers of the GRU.
        dropout: Between layers, in training.
        inputs: Fields of the batch, in order.
        loudness: As linear gain, as published, or as decibels.
        forgets: At an onset (``age_s`` of 0) begin without what was before it. A state that lives for a whole
            phrase goes where no training crop has been.

    Examples:
        >>> encoder = ControlGRU(hidden_size=8)
        >>> f0_hz, loudness_db = torch.full((2, 50), 220.0), torch.full((2, 50), -20.0)
        >>> encoder(f0_hz, loudness_db).shape
        torch.Size([2, 50, 8])
    """

    def __init__(
        self,
        hidden_size: int = 512,
        num_layers: int = 1,
        dropout: float = 0.0,
        inputs: Sequence[str] = ("f0_hz", "loudness_db"),
        loudness: Literal["linear", "db"] = "linear",
        forgets: bool = False,
    ) -> None:
        super().__init__(inputs, loudness)
        if forgets and ("age_s" not in self.hears or num_layers != 1):
            raise ValueError(
                f"One layer that hears age_s forgets at onsets, not {num_layers=} of {self.hears}."
            )
        if min(hidden_size, num_layers) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"Needs sizes from 1, dropout below 1, got {hidden_size=}, {num_layers=}, {dropout=}."
            )
        self.num_features = hidden_size
        self.gru = nn.GRU(
            len(self.hears) + forgets,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.forgets = forgets
        if forgets:  # both gates shut: nothing of the state before is left
            with torch.no_grad():
                self.gru.weight_ih_l0[:, -1] = 0.0
                self.gru.weight_ih_l0[: 2 * hidden_size, -1] = _SHUT

    def advance(
        self, state: Tensor | None, *curves: Curve
    ) -> tuple[Float[Tensor, "batch frames features"], Tensor]:
        return gru(self.gru, self.heard(curves), state)

    def heard(self, curves: Sequence[Curve]) -> Float[Tensor, "*batch frames inputs"]:
        """What the GRU is given of these curves: scaled, and perhaps where onsets are."""
        heard = self.scaled(curves)
        if not self.forgets:
            return heard
        onset = curves[self.hears.index("age_s")] == 0
        return torch.cat([heard, onset[..., None].to(heard)], dim=-1)


class ControlTransformer(ControlEncoder):
    """A causal Transformer in the place of the GRU, with the same interface.

    Args:
        hidden_size: Features a frame.
        num_layers: Blocks.
        num_heads: Attention heads.
        context_frames: Frames that each block looks back over, the present one included.
        dropout: In training.
        inputs: Fields of the batch, in order.
        loudness: As linear gain or as decibels.

    Examples:
        >>> encoder = ControlTransformer(hidden_size=8, num_heads=2, context_frames=10).eval()
        >>> f0_hz, loudness_db = torch.full((1, 50), 220.0), torch.full((1, 50), -20.0)
        >>> whole = encoder(f0_hz, loudness_db)
        >>> first, state = encoder.advance(None, f0_hz[:, :30], loudness_db[:, :30])  # block by block
        >>> rest, _ = encoder.advance(state, f0_hz[:, 30:], loudness_db[:, 30:])
        >>> torch.allclose(torch.cat([first, rest], dim=1), whole, atol=1e-5)
        True
    """

    def __init__(
        self,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        context_frames: int = 100,
        dropout: float = 0.0,
        inputs: Sequence[str] = ("f0_hz", "loudness_db"),
        loudness: Literal["linear", "db"] = "db",
    ) -> None:
        super().__init__(inputs, loudness)
        if num_layers < 1:
            raise ValueError(f"Needs at least 1 block, got {num_layers=}.")
        self.num_features = hidden_size
        self.entry = nn.Linear(len(self.hears), hidden_size)
        self.blocks = nn.ModuleList(
            CausalBlock(hidden_size, num_heads, context_frames, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def advance(
        self, state: list | None, *curves: Curve
    ) -> tuple[Float[Tensor, "batch frames features"], list]:
        x, after = self.entry(self.scaled(curves)), []
        for block, past in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            x, kept = block(x, past)
            after.append(kept)
        return self.norm(x), after


def scale_curve(name: str, curve: Curve) -> Curve:
    """A field of the batch as networks see it.

    ``f0_hz`` and ``brightness_hz`` on a scale of octaves, decibels from -80 to 0 as 0 to 1, ``age_s`` (time
    since the last onset) logarithmically, ``periodicity`` as it is.
    """
    return _SCALES[name](curve)


def _octaves(curve: Curve) -> Curve:
    return (torch.log(curve + 1e-7) - 4.8) / 2  # published; 121 Hz is 0, 900 Hz is 1


def _decibels(curve: Curve) -> Curve:
    return curve / -_QUIETEST_DB + 1


def _age(curve: Curve) -> Curve:
    return torch.log1p(curve.clamp(min=0) / 0.01) / math.log(100)


_SCALES = {
    "f0_hz": _octaves,
    "loudness_db": _decibels,
    "periodicity": lambda curve: curve,
    "age_s": _age,
    "peak_db": _decibels,
    "brightness_hz": _octaves,
}
