"""Temporal convolutional network: dilated convolutions that hear ever further back (Bai et al. 2018)."""

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.nets.conv import Pad, conv1d
from drumblender.nets.cpu import tiled
from drumblender.nets.cuda import fused
from drumblender.nets.film import FiLM, TFiLM


class GatedActivation(nn.Module):
    """tanh of the first half of the channels times sigmoid of the second (van den Oord et al. 2016).

    Examples:
        >>> import torch
        >>> GatedActivation()(torch.tensor([[[100.0], [0.0]]]))
        tensor([[[0.5000]]])
    """

    def forward(
        self, x: Float[Tensor, "batch channels frames"]
    ) -> Float[Tensor, "batch half_channels frames"]:
        if x.shape[1] % 2:
            raise ValueError(f"A gate halves the channels, got {x.shape[1]} of them.")
        signal, gate = x.chunk(2, dim=1)
        return signal.tanh() * gate.sigmoid()


class TCN(nn.Module):
    """A stack of dilated convolutions with skips, conditioned by an embedding where asked for.

    Args:
        in_channels, hidden_channels, out_channels: Widths before, between and after.
        dilation_base: Block ``i`` has dilation ``dilation_base ** (i % dilation_blocks)``.
        dilation_blocks: Blocks after which the dilations start over; None: never.
        num_layers: Blocks.
        kernel_size: Taps of each dilated convolution.
        causal: Hear the past only.
        norm: Normalise the input of each block over the batch (``batch``) or each sound (``instance``).
        activation: A class of ``torch.nn`` that is built without arguments, or ``gated``.
        film_conditioning: Modulate each block by an embedding of ``film_embedding_size`` numbers.
        film_embedding_size: See above.
        film_batch_norm: Normalise over the batch before that modulation.
        use_temporal_film: Modulate each block by a recurrent net over blocks of time.
        temporal_film_block_size: Frames of these blocks.

    Raises:
        ValueError: An unknown norm or activation, or a modulation without its size.

    Examples:
        >>> import torch
        >>> net = TCN(in_channels=1, hidden_channels=8, out_channels=1, num_layers=4)
        >>> net(torch.randn(2, 1, 1000)).shape
        torch.Size([2, 1, 1000])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        dilation_base: int = 2,
        dilation_blocks: int | None = None,
        num_layers: int = 8,
        kernel_size: int = 3,
        causal: bool = True,
        norm: str | None = None,
        activation: str = "GELU",
        film_conditioning: bool = False,
        film_embedding_size: int | None = None,
        film_batch_norm: bool = True,
        use_temporal_film: bool = False,
        temporal_film_block_size: int | None = None,
    ) -> None:
        super().__init__()
        sizes = {"film_embedding_size": (film_conditioning, film_embedding_size)}
        sizes["temporal_film_block_size"] = (use_temporal_film, temporal_film_block_size)
        for name, (used, size) in sizes.items():
            if used and not (isinstance(size, int) and size > 0):
                raise ValueError(f"{name} must be a whole number above 0, got {size!r}.")
        dilation_blocks = num_layers if dilation_blocks is None else dilation_blocks
        if min(dilation_base, dilation_blocks, num_layers) < 1:
            raise ValueError(f"Need at least 1, got {dilation_base=}, {dilation_blocks=}, {num_layers=}.")
        self.in_projection = nn.Conv1d(in_channels, hidden_channels, 1)
        self.out_projection = nn.Conv1d(hidden_channels, out_channels, 1)
        dilations = [dilation_base ** (layer % dilation_blocks) for layer in range(num_layers)]
        self.receptive_field_frames = 1 + (kernel_size - 1) * sum(dilations)
        self.net = nn.ModuleList(
            TCNBlock(
                hidden_channels,
                kernel_size,
                dilation,
                causal=causal,
                norm=norm,
                activation=activation,
                film=(film_embedding_size, film_batch_norm) if film_conditioning else None,
                tfilm_block_size=temporal_film_block_size if use_temporal_film else None,
            )
            for dilation in dilations
        )
        self.film_conditioning = film_conditioning

    def forward(
        self,
        x: Float[Tensor, "batch in_channels frames"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch out_channels frames"]:
        """Run the stack.

        Args:
            x: Sound or features.
            film_embedding: Needed with ``film_conditioning``, refused without; one row serves all of ``x``.

        Raises:
            ValueError: The embedding is missing, has no use or is of another batch, or ``x`` has the wrong
                number of channels.
        """
        if self.film_conditioning != (film_embedding is not None):
            needs = "needs a" if self.film_conditioning else "takes no"
            raise ValueError(
                f"A TCN built with film_conditioning={self.film_conditioning} {needs} film_embedding."
            )
        if film_embedding is not None:
            if len(film_embedding) not in (1, len(x)):
                raise ValueError(
                    f"{len(x)} sounds take as many embeddings or one, got {len(film_embedding)}."
                )
            film_embedding = film_embedding.expand(len(x), -1)
        x = conv1d(x, self.in_projection.weight, self.in_projection.bias)
        for block in self.net:
            x = block(x, film_embedding)
        return conv1d(x, self.out_projection.weight, self.out_projection.bias)


class TCNBlock(nn.Module):
    """[norm,] dilated convolution, [FiLM,] activation [, TFiLM], and a 1 x 1 convolution around it all."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int,
        *,
        causal: bool,
        norm: str | None,
        activation: str,
        film: tuple[int, bool] | None,
        tfilm_block_size: int | None,
    ) -> None:
        super().__init__()
        inner = channels * 2 if activation == "gated" else channels
        pad = Pad(kernel_size, dilation, causal)
        conv = nn.Conv1d(channels, inner, kernel_size, dilation=dilation)
        self.net = nn.Sequential(*_norm(norm, channels), pad, conv)
        self.film = None if film is None else FiLM(film[0], inner, use_batch_norm=film[1])
        self.activation = _activation(activation)
        self.tfilm = None if tfilm_block_size is None else TFiLM(channels, tfilm_block_size)
        self.residual = nn.Conv1d(channels, channels, 1)
        if sum(pad.padding) != dilation * (kernel_size - 1):
            raise ValueError(
                f"A TCN that is not causal needs an odd kernel_size or even dilations, got {kernel_size=} "
                f"and {dilation=}: its output would be one frame short of the skip."
            )
        exact_gelu = isinstance(self.activation, nn.GELU) and self.activation.approximate == "none"
        self._film_gelu = self.film is not None and exact_gelu and self.tfilm is None

    def forward(
        self,
        x: Float[Tensor, "batch channels frames"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch channels frames"]:
        *norm, pad, conv = self.net
        fuses = self._film_gelu and self.film.is_local
        if fuses and not norm and tiled(x):
            from drumblender.nets.cpu.film_block import film_block  # numba is slow to import

            return film_block(x, film_embedding, conv, pad.padding[0], self.film, self.residual)
        h = norm[0](x) if norm else x
        bias = conv.bias if self.film is None else self.film.bias_before(conv.bias)
        h = conv1d(h, conv.weight, bias, dilation=conv.dilation[0], padding=pad.padding)
        skip = conv1d(x, self.residual.weight, self.residual.bias)
        if fuses and fused(h):
            from drumblender.nets.cuda.film_cuda import film_gelu  # so is Triton

            return film_gelu(h, film_embedding, self.film, skip)
        if self.film is not None:
            h = self.film(h, film_embedding)
        h = self.activation(h)
        if self.tfilm is not None:
            h = self.tfilm(h)
        return h + skip


def _norm(name: str | None, channels: int) -> list[nn.Module]:
    kinds = {"batch": nn.BatchNorm1d, "instance": nn.InstanceNorm1d}
    if name is None:
        return []
    if name not in kinds:
        raise ValueError(f"norm must be batch, instance or null, got {name!r}.")
    return [kinds[name](channels)]


def _activation(name: str) -> nn.Module:
    if name == "gated":
        return GatedActivation()
    kind = getattr(nn, name, None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"activation must be gated or a class of torch.nn, got {name!r}.")
    return kind()
