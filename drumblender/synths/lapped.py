"""The first milliseconds of a sound out of lapped cosines."""

from drumblender.dsp.mdct import inverse_mdct
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class LappedTransient(Synth):
    """Plays an attack that was measured as it is: short cosines under overlapping windows.

    Control ``coefficients``: frames of gains of any sign, as :func:`~drumblender.dsp.mdct.mdct` gives them.
    The first frame is centred on the start of the sound, each next one ``size`` samples later; after the last
    there is silence. Most gains of an attack are 0 (:class:`~drumblender.features.OnsetCoefficients`).

    Args:
        size: Samples from frame to frame, and cosines in each.

    Raises:
        ValueError: A size below 1.

    Examples:
        >>> import torch
        >>> attack = torch.zeros(1, 9, 128)
        >>> attack[0, 0, 20] = 1.0
        >>> sound = LappedTransient(size=128)({"coefficients": attack}, num_samples=48000)
        >>> sound.shape, int(sound[0].nonzero().max()) < 128
        (torch.Size([1, 48000]), True)
    """

    linear = ("coefficients",)

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"A frame needs 1 cosine or more, got {size=}.")
        self.control_sizes = {"coefficients": size}

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        """Render ``num_samples`` samples.

        Raises:
            ValueError: A shape does not fit.
        """
        self.check(controls)
        return inverse_mdct(controls["coefficients"], num_samples)
