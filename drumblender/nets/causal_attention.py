"""A Transformer that sees no future and a bounded past, so that it can run frame by frame for ever."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

State = list[tuple[Tensor, Tensor]]
"""Keys and values of the past, for each block."""


class CausalBlock(nn.Module):
    """Self-attention over the last ``context`` frames, then a two-layer network; both pre-normalised.

    Distance in time is a penalty on the attention that grows linearly, with another slope in each head (Press
    et al., "Train short, test long", ICLR 2022): no position is ever counted from a start.

    Args:
        size: Of a frame; a multiple of ``num_heads``.
        num_heads: Attention heads.
        context: Frames that each frame sees, itself included.
        dropout: Share of the network's outputs that training drops.
    """

    slopes: Tensor

    def __init__(self, size: int, num_heads: int, context: int, dropout: float = 0.0) -> None:
        super().__init__()
        if size % num_heads or context < 1:
            raise ValueError(f"Heads divide the size; got {size=}, {num_heads=}, {context=}.")
        self.num_heads, self.context = num_heads, context
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.heads, self.joined = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.network = nn.Sequential(
            nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size), nn.Dropout(dropout)
        )
        slopes = 2.0 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)
        self.register_buffer("slopes", slopes[:, None, None], persistent=False)

    def forward(
        self, x: Float[Tensor, "batch frames size"], past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Float[Tensor, "batch frames size"], tuple[Tensor, Tensor]]:
        """The frames, and keys and values that the next call needs."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.heads(self.norm_1(x)).chunk(3, dim=-1)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        attended = F.scaled_dot_product_attention(query, key, value, self._bias(query.shape[2], key.shape[2]))
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        x = x + self.network(self.norm_2(x))
        first = max(0, key.shape[2] - self.context + 1)
        return x, (key[:, :, first:], value[:, :, first:])

    def _bias(self, num_queries: int, num_keys: int) -> Float[Tensor, "heads queries keys"]:
        now = torch.arange(num_keys - num_queries, num_keys, device=self.slopes.device)
        age = now[:, None] - torch.arange(num_keys, device=now.device)
        return (-self.slopes * age).masked_fill((age < 0) | (age >= self.context), -torch.inf)
