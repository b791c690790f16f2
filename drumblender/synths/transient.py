"""Transients from a sound without them, by a causal network (Shier et al. 2023)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.nets.tcn import TCN
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class TransientTCN(Synth):
    """Works on the mix so far and returns what a drum's attack makes of it.

    With FiLM it is played with the control ``embedding``, one vector held through the sound, of any sign and
    size; without, it has no controls. The defaults hear 3061 samples back.

    Args:
        in_channels: 1, and ``transient_conditioning_channels`` more with ``transient_conditioning``.
        hidden_channels, dilation_base, dilation_blocks, num_layers, kernel_size: As
            :class:`~drumblender.nets.tcn.TCN`.
        out_channels: 1: sound is mono.
        film_conditioning, film_embedding_size, film_batch_norm: As there.
        transient_conditioning: Learn a signal that the network hears beside each sound, from its start.
        transient_conditioning_channels: Channels of that signal.
        transient_conditioning_length: Its samples; silence after them.

    Raises:
        ValueError: The channels do not add up, or FiLM lacks its size.
    """

    needs_source = True
    linear = ("embedding",)

    def __init__(
        self,
        in_channels: int = 1,
        hidden_channels: int = 32,
        out_channels: int = 1,
        dilation_base: int = 2,
        dilation_blocks: int | None = None,
        num_layers: int = 8,
        kernel_size: int = 13,
        film_conditioning: bool = False,
        film_embedding_size: int | None = None,
        film_batch_norm: bool = True,
        transient_conditioning: bool = False,
        transient_conditioning_channels: int = 32,
        transient_conditioning_length: int = 24000,
    ) -> None:
        super().__init__()
        conditioning_channels = transient_conditioning_channels if transient_conditioning else 0
        if (in_channels, out_channels) != (1 + conditioning_channels, 1):
            raise ValueError(
                f"Sound is mono: needs in_channels={1 + conditioning_channels} (1 and the channels of the "
                f"conditioning) and out_channels=1, got {in_channels=} and {out_channels=}."
            )
        self.transient_conditioning = None
        if transient_conditioning:
            shape = (1, transient_conditioning_channels, transient_conditioning_length)
            self.transient_conditioning = nn.Parameter(torch.randn(shape) / transient_conditioning_channels)
        self.tcn = TCN(
            in_channels,
            hidden_channels,
            out_channels,
            dilation_base=dilation_base,
            dilation_blocks=dilation_blocks,
            num_layers=num_layers,
            kernel_size=kernel_size,
            film_conditioning=film_conditioning,
            film_embedding_size=film_embedding_size,
            film_batch_norm=film_batch_norm,
        )
        self.control_sizes = {"embedding": film_embedding_size} if film_conditioning else {}
        self.control_frames = dict.fromkeys(self.control_sizes, 1)

    def forward(
        self,
        controls: Controls,
        num_samples: int,
        source: Float[Tensor, "batch source_samples"] | None = None,
    ) -> Audio:
        """Run the network over ``source``.

        Args:
            controls: ``embedding`` ``(batch, 1, size)`` with FiLM; empty without.
            num_samples: Length of the source and of the sound.
            source: The mix so far.

        Raises:
            ValueError: No source or one of another length; no embedding or one of another shape.
        """
        if source is None or source.shape[-1] != num_samples or num_samples < 1:
            got = "none" if source is None else source.shape[-1]
            raise ValueError(
                f"TransientTCN works on the mix so far: needs a source of {num_samples} samples, got {got}."
            )
        self.check(controls)
        x = source[:, None]
        if self.transient_conditioning is not None:
            learned = self.transient_conditioning[..., :num_samples]
            learned = F.pad(learned, (0, num_samples - learned.shape[-1]))
            x = torch.cat([x, learned.expand(len(x), -1, -1)], dim=1)
        return self.tcn(x, self._embedding(controls))[:, 0]

    def _embedding(self, controls: Controls) -> Tensor | None:
        if not self.control_sizes:
            return None
        return controls["embedding"][:, 0]
