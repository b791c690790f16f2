"""A room around the mix: a short response that is learned, and that can be left out."""

import torch
from torch import nn

from drumblender.dsp.precision import in_full_precision
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class Room(Synth):
    """Adds the reflections of one room, the same for every sound, to the mix that it hears.

    The response has no direct sound, so that a voice with ``combine: replace`` hands the mix on with it. It
    starts at silence and dies away under an exponential: an untrained room is none. No controls.

    Args:
        sample_rate: Samples per second.
        length_s: Length of the response.
        decay_s: Time in which what a tap can learn falls by 60 dB.
        on: Whether the room is heard; ``room.on = False`` plays a trained model dry.

    Examples:
        >>> room, click = Room(sample_rate=16000, length_s=0.1), torch.eye(1, 4000)
        >>> torch.equal(room({}, 4000, source=click), click)  # untrained, it adds nothing
        True
        >>> _ = nn.init.normal_(room.taps)
        >>> bool(room({}, 4000, source=click)[:, 1:1600].any())
        True
    """

    needs_source = True

    def __init__(
        self, sample_rate: int = 16000, length_s: float = 0.25, decay_s: float = 0.3, on: bool = True
    ) -> None:
        super().__init__()
        num_taps = int(length_s * sample_rate)
        if num_taps < 2 or not decay_s > 0:
            raise ValueError(f"Needs 2 samples of response that decay, got {length_s=} and {decay_s=}.")
        self.control_sizes = {}
        self.on = on
        self.taps = nn.Parameter(torch.zeros(num_taps - 1))
        time_s = torch.arange(1, num_taps) / sample_rate
        self.register_buffer("fade", 1000 ** (-time_s / decay_s), persistent=False)

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        if source is None:
            raise ValueError("A room needs the mix of the voices before it: it cannot come first.")
        source = source[:, :num_samples]
        source = nn.functional.pad(source, (0, num_samples - source.shape[-1]))
        return source + self._reflections(source, self.response()) if self.on else source

    def response(self) -> torch.Tensor:
        """The reflections ``(taps,)``, from one sample after the direct sound on."""
        return self.taps * self.fade

    @staticmethod
    @in_full_precision
    def _reflections(source: Audio, response: torch.Tensor) -> Audio:
        size = int(source.shape[-1])  # to a tracer, a size is a tensor
        if torch.onnx.is_in_onnx_export():  # which has no complex numbers
            before = nn.functional.pad(source, (len(response), 0))[:, None, :-1]
            return nn.functional.conv1d(before, response.flip(0)[None, None])[:, 0]
        points = 1 << (size + len(response)).bit_length()
        product = torch.fft.rfft(source, points) * torch.fft.rfft(response, points)
        later = torch.fft.irfft(product, points)[:, : size - 1]
        return nn.functional.pad(later, (1, 0))
