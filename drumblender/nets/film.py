"""Feature-wise linear modulation, by an embedding or by the features' own past."""

import torch
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

    @property
    def is_local(self) -> bool:
        """Whether what it normalises by is of this process alone, and not of a group (``SyncBatchNorm``)."""
        return self.norm is None or type(self.norm) is nn.BatchNorm1d

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

    def moments(
        self, x: Float[Tensor, "batch channels frames"]
    ) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
        """Mean and variance that the normalisation takes out, without gradient; 0 and 1 where there is none.

        In training they are of ``x``, and the running statistics move on.

        Raises:
            ValueError: Batch norm is to learn from a single frame.
        """
        if self.norm is None:
            return x.new_zeros(x.shape[1], dtype=torch.float32), x.new_ones(x.shape[1], dtype=torch.float32)
        if not self.norm.training:
            return self.norm.running_mean.clone(), self.norm.running_var.clone()  # a later step changes them
        num_values = x.shape[0] * x.shape[2]
        if num_values < 2:
            raise ValueError("Batch norm learns from more than 1 frame, got 1.")
        variance, mean = torch.var_mean(x.detach().float(), dim=(0, 2), correction=0)
        self.learn(mean, variance, num_values)
        return mean, variance

    def learn(
        self, mean: Float[Tensor, "channels"], variance: Float[Tensor, "channels"], num_values: int
    ) -> None:
        """Move the running statistics on, as ``nn.BatchNorm1d`` does: the variance that runs is unbiased."""
        norm = self.norm
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        unbiased = variance * (num_values / (num_values - 1))
        norm.running_var.lerp_(unbiased.to(norm.running_var), norm.momentum)

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
