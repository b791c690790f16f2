"""Reads the pitch of a tone from its constant-Q spectrum (Torres et al., ICASSP 2024; after PESTO)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from drumblender.encoders.base import Encoder
from drumblender.features.maps import CQT
from drumblender.nets.pitch_cnn import Activation, PitchConv


class PitchCNN(Encoder):
    """A small network over the bins of each constant-Q frame; frames know nothing of each other.

    With a :class:`~drumblender.controllers.PitchHead` for one fundamental and 20 amplitudes it has the
    published 46,012 parameters.

    Args:
        cqt: The transform; by default that of the paper, 285 bins from 32.7 Hz at 16 kHz, hop 256.
        cached: Hear the batch's field ``cqt``, made once by the data, instead of ``audio``.
        drop_last: Leave out the last sample, so that a sound of 4096 samples has 16 frames and not 17.
        channels: Channels after each stage.
        kernel_size: Taps over bins of the first stages, odd.
        num_prefilters: Stages with that many taps.
        residual: Add the input of the later ones to their output.
        activation: What follows each convolution.
        slope: Of the leaky ReLU below 0.
        dropout: Share of values dropped before the last stage.
        num_output_layers: Toeplitz layers behind the convolutions, that of the head included.
    """

    def __init__(
        self,
        cqt: CQT | None = None,
        cached: bool = False,
        drop_last: bool = True,
        channels: Sequence[int] = (40, 30, 30, 10, 3),
        kernel_size: int = 15,
        num_prefilters: int = 2,
        residual: bool = True,
        activation: Activation = "leaky",
        slope: float = 0.3,
        dropout: float = 0.5,
        num_output_layers: int = 1,
    ) -> None:
        super().__init__()
        self.cqt = CQT() if cqt is None else cqt
        self.hears = ("cqt",) if cached else ("audio",)
        self.cached, self.drop_last = cached, drop_last
        self.net = PitchConv(
            len(self.cqt.freqs_hz),
            channels,
            kernel_size,
            num_prefilters,
            residual,
            activation,
            slope,
            dropout,
            num_output_layers,
        )
        self.num_features = self.net.num_features

    def forward(self, heard: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch frames features"]:
        frames = heard if self.cached else self.cqt(heard[:, :-1] if self.drop_last else heard)
        return self.net(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
