"""Feature-wise linear modulation, by an embedding or by the features' own past."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FiLM(nn.Module):
    """Scales and shifts each channel by what an embedding says (Perez et al. 2018).

    Args:
        film_embedding_size: Numbers in the embedding.
        input_channels: Channels of the features.
        use_batch_norm: First bring each channel to mean 0 and variance 1 over the batch.

    Examples:
        >>> import torch
        >>> film = FiLM(film_embedding_size=4, input_channels=8)
        >>> film(torch.randn(2, 8, 100), torch.randn(2, 4)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(self, film_embedding_size: int, input_channels: int, use_batch_norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(input_channels, affine=False) if use_batch_norm else None
        self.net = nn.Linear(film_embedding_size, input_channels * 2)

    def gains(
        self, film_embedding: Float[Tensor, "batch embedding"]
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch channels"]]:
        """What each channel is multiplied by, and what is added.

        Raises:
            ValueError: The embedding has another size than the layer was built for.
        """
        if film_embedding.shape[-1] != self.net.in_features:
            raise ValueError(
                f"FiLM takes an embedding of {self.net.in_features}, got {film_embedding.shape[-1]}."
            )
        gamma, beta = self.net(film_embedding).chunk(2, dim=-1)
        return gamma, beta

    def bias_before(self, bias: Float[Tensor, "channels"]) -> Float[Tensor, "channels"]:
        """The bias of the convolution before this layer, with the gradient 0 while batch norm takes it out.

        What would reach it is the rounding error of its parts, which Adam makes steps of full size from.
        """
        if self.norm is None or not self.norm.training:
            return bias
        return bias.detach() + 0 * bias

    def forward(
        self, x: Float[Tensor, "batch channels frames"], film_embedding: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch channels frames"]:
        gamma, beta = self.gains(film_embedding)
        if self.norm is not None:
            x = self.norm(x)
        return gamma[..., None] * x + beta[..., None]


class TFiLM(nn.Module):
    """Scales and shifts blocks of time by what an LSTM heard in the blocks so far (Birnbaum et al. 2019).

    Args:
        channels: Channels of the features.
        block_size: Frames that share a scale and a shift. They take part in choosing it, so a causal net with
            this layer hears up to the end of the block.

    Examples:
        >>> import torch
        >>> TFiLM(channels=8, block_size=50)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(self, channels: int, block_size: int) -> None:
        super().__init__()
        if block_size < 1:
            raise ValueError(f"A block needs at least 1 frame, got {block_size=}.")
        self.block_size = block_size
        self.lstm = nn.LSTM(channels, channels, batch_first=True)
        self.proj = nn.Linear(channels, channels * 2)

    def forward(self, x: Float[Tensor, "batch channels frames"]) -> Float[Tensor, "batch channels frames"]:
        """Modulate.

        Raises:
            ValueError: The frames are no whole number of blocks.
        """
        num_frames = x.shape[-1]
        if num_frames == 0 or num_frames % self.block_size:
            raise ValueError(
                f"Needs a multiple of block_size={self.block_size} frames, got {num_frames}: pad or cut."
            )
        loudest = F.max_pool1d(x, self.block_size).transpose(1, 2)  # (batch, blocks, channels)
        gamma, beta = self.proj(self.lstm(loudest)[0]).transpose(1, 2).chunk(2, dim=1)
        blocks = x.unflatten(-1, (-1, self.block_size))
        return (gamma[..., None] * blocks + beta[..., None]).flatten(-2)
