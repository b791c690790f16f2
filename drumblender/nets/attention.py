"""Attention that sums a sequence up in one vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """One learned query attends to all frames; it starts at zero, which weighs them alike.

    Args:
        in_features: Channels of the sequence.
        keep_seq_dim: Keep a last axis of one frame.

    Examples:
        >>> AttentionPooling(in_features=8)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8])
    """

    def __init__(self, in_features: int, keep_seq_dim: bool = False) -> None:
        super().__init__()
        self.keep_seq_dim = keep_seq_dim
        self.query = nn.Parameter(torch.zeros(1, 1, in_features))
        self.norm = nn.LayerNorm(in_features)
        self.attn = nn.MultiheadAttention(in_features, num_heads=1, bias=False, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch channels frames"]
    ) -> Float[Tensor, "batch channels"] | Float[Tensor, "batch channels 1"]:
        rows = self.norm(x.transpose(1, 2))
        pooled, _ = self.attn(self.query.expand(len(rows), -1, -1), rows, rows, need_weights=False)
        return pooled.transpose(1, 2) if self.keep_seq_dim else pooled[:, 0]
