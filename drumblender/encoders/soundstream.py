"""SoundStream encoders (Zeghidour et al. 2021), by frame or pooled to one vector."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.encoders.base import Encoder
from drumblender.nets.attention import AttentionPooling
from drumblender.nets.conv import Pad, PaddedConv
from drumblender.nets.soundstream import SoundStreamBlock

_OUTPUT_TAPS = 3


class SoundStreamEncoder(Encoder):
    """Strided convolutions that halve the rate and double the width, block after block.

    A block with stride ``s`` makes ``(L - 2) // s + 1`` of ``L`` frames, a causal one ``ceil(L / s)``.

    Args:
        hidden_channels: Width of the first block.
        output_channels: Features a frame.
        input_channels: 1 for mono; more for audio given as ``(batch, channels, samples)``.
        kernel_size: Taps of the convolutions within blocks.
        strides: One for each block.
        causal: Hear the past only.
        film_conditioning: Modulate each unit by an embedding of ``film_embedding_size`` numbers.
        film_embedding_size: See above.
        film_batch_norm: Normalise over the batch before that modulation.

    Raises:
        ValueError: A size below 1.

    Examples:
        >>> import torch
        >>> encoder = SoundStreamEncoder(hidden_channels=4, output_channels=16, strides=(4, 4))
        >>> encoder(torch.randn(2, 1600)).shape, encoder.num_frames(1600)
        (torch.Size([2, 100, 16]), 100)
    """

    def __init__(
        self,
        hidden_channels: int,
        output_channels: int,
        input_channels: int = 1,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2, 4, 4),
        causal: bool = False,
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if min(hidden_channels, output_channels, input_channels, film_embedding_size, *strides) < 1:
            raise ValueError(
                f"Need at least 1, got {hidden_channels=}, {output_channels=}, {input_channels=}, "
                f"{film_embedding_size=}, {strides=}."
            )
        film = (film_embedding_size, film_batch_norm) if film_conditioning else None
        self.num_features = output_channels
        self.input_channels, self.strides, self.causal = input_channels, tuple(strides), causal
        self.film_conditioning = film_conditioning
        self.input = PaddedConv(
            Pad(kernel_size, 1, causal), nn.Conv1d(input_channels, hidden_channels, kernel_size)
        )
        widths = [hidden_channels * 2**i for i in range(len(strides) + 1)]
        self.encoder_blocks = nn.ModuleList(
            SoundStreamBlock(width, kernel_size, stride, causal=causal, film=film)
            for width, stride in zip(widths, strides, strict=False)
        )
        self.output = PaddedConv(
            Pad(_OUTPUT_TAPS, 1, causal), nn.Conv1d(widths[-1], output_channels, _OUTPUT_TAPS)
        )

    def num_frames(self, num_samples: int) -> int:
        """Frames that a sound of that length becomes; 0 where it is too short."""
        for stride in self.strides:
            num_samples = -(-num_samples // stride) if self.causal else (num_samples - 2) // stride + 1
            if num_samples < 1:
                return 0
        return num_samples

    def forward(
        self,
        audio: Float[Tensor, "batch samples"] | Float[Tensor, "batch channels samples"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch frames features"]:
        """Encode.

        Args:
            audio: Mono sound, or sound with ``input_channels`` channels.
            film_embedding: Needed with ``film_conditioning``, refused without.

        Raises:
            ValueError: The sound has other channels or is shorter than one frame, or the embedding is missing
                or has no use.
        """
        x = audio[:, None] if audio.ndim == 2 else audio
        if x.shape[1] != self.input_channels:
            raise ValueError(
                f"The encoder was built with input_channels={self.input_channels}, got sound of {x.shape[1]}."
            )
        if self.num_frames(x.shape[-1]) < 1:
            raise ValueError(
                f"Sound of {x.shape[-1]} samples is too short for an encoder that makes one frame of "
                f"{math.prod(self.strides)}: pad it."
            )
        if self.film_conditioning != (film_embedding is not None):
            needs = "needs a" if self.film_conditioning else "takes no"
            raise ValueError(
                f"An encoder built with film_conditioning={self.film_conditioning} {needs} film_embedding."
            )
        x = self.input(x)
        for block in self.encoder_blocks:
            x = block(x, film_embedding)
        return self.output(x).transpose(1, 2)


class SoundStreamAttentionEncoder(Encoder):
    """One frame for the whole sound: a learned query attends to the frames of a :class:`SoundStreamEncoder`.

    Args:
        hidden_channels, output_channels, input_channels, kernel_size, strides, causal, film_conditioning,
            film_embedding_size, film_batch_norm: As there.

    Examples:
        >>> import torch
        >>> encoder = SoundStreamAttentionEncoder(hidden_channels=4, output_channels=16, strides=(4, 4))
        >>> encoder(torch.randn(2, 1600)).shape
        torch.Size([2, 1, 16])
    """

    def __init__(
        self,
        hidden_channels: int,
        output_channels: int,
        input_channels: int = 1,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2, 4, 4),
        causal: bool = False,
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = output_channels
        self.encoder = SoundStreamEncoder(
            hidden_channels,
            output_channels,
            input_channels,
            kernel_size,
            strides,
            causal,
            film_conditioning,
            film_embedding_size,
            film_batch_norm,
        )
        self.pooling = AttentionPooling(output_channels)

    def forward(
        self,
        audio: Float[Tensor, "batch samples"] | Float[Tensor, "batch channels samples"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch 1 features"]:
        """Encode; errors as of :class:`SoundStreamEncoder`."""
        return self.pooling(self.encoder(audio, film_embedding).transpose(1, 2))[:, None]
