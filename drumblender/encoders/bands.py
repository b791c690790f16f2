"""A small encoder of levels that were measured before."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.encoders.base import Encoder


class BandEncoder(Encoder):
    """Dilated convolutions over levels in dB: a few frames of context, at the rate of the frames.

    Levels are heard relative to the loudest of each sound, so that a recording's gain changes nothing.

    Args:
        num_levels: Levels in a frame.
        hidden_channels: Width, and features a frame.
        num_layers: Convolutions; each looks twice as far as the one before.
        kernel_size: Frames a convolution joins, an odd number.
        floor_db: Levels count as at least this, relative to the loudest.

    Raises:
        ValueError: A size below 1, or an even kernel.

    Examples:
        >>> encoder, levels_db = BandEncoder(num_levels=64, hidden_channels=16), torch.randn(2, 50, 64)
        >>> encoder(levels_db).shape
        torch.Size([2, 50, 16])
        >>> torch.allclose(encoder(levels_db + 6), encoder(levels_db), atol=1e-4)  # deaf to a gain
        True
    """

    hears = ("features",)

    def __init__(
        self,
        num_levels: int,
        hidden_channels: int = 96,
        num_layers: int = 3,
        kernel_size: int = 5,
        floor_db: float = -90.0,
    ) -> None:
        super().__init__()
        if min(num_levels, hidden_channels, num_layers) < 1 or kernel_size % 2 == 0 or floor_db >= 0:
            raise ValueError(
                "Need sizes of at least 1, an odd kernel and a floor below 0 dB, got "
                f"{num_levels=}, {hidden_channels=}, {num_layers=}, {kernel_size=}, {floor_db=}."
            )
        self.num_features, self.floor_db = hidden_channels, floor_db
        layers: list[nn.Module] = []
        for number in range(num_layers):
            dilation = 2**number
            layers += [
                nn.Conv1d(
                    num_levels if number == 0 else hidden_channels,
                    hidden_channels,
                    kernel_size,
                    dilation=dilation,
                    padding=dilation * (kernel_size // 2),
                ),
                nn.GELU(),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, levels_db: Float[Tensor, "batch frames levels"]
    ) -> Float[Tensor, "batch frames features"]:
        """Encode.

        Raises:
            ValueError: The frames hold another number of levels.
        """
        num_levels, given = self.layers[0].in_channels, levels_db.shape[-1]
        if given != num_levels:
            raise ValueError(
                f"BandEncoder({num_levels=}) got {given} levels a frame: give it num_levels: {given}."
            )
        loudest = levels_db.amax(dim=(1, 2), keepdim=True)
        relative = torch.clamp(levels_db - loudest, min=self.floor_db)
        return self.layers((relative / (-self.floor_db / 2) + 1).transpose(1, 2)).transpose(1, 2)
