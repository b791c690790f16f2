"""Controls that a network hears."""

from drumblender.controllers.base import Batch, Controller
from drumblender.controllers.heads import Head, LinearHead
from drumblender.encoders.base import Encoder
from drumblender.synths.base import Synth, has_unit
from drumblender.types import Controls


class HeardControls(Controller):
    """An encoder listens to fields of the batch, and a head turns its features into controls.

    Controls that the head cannot make, those in a unit where it squashes, are fields of the batch: a note
    brings its ``f0_hz``, and the network makes the rest.

    Args:
        encoder: Listens.
        head: Makes the controls; :class:`LinearHead` by default.

    Examples:
        >>> import torch
        >>> from drumblender.encoders import SoundStreamEncoder
        >>> from drumblender.synths import HarmonicSynth
        >>> synth = HarmonicSynth(8, 16000)
        >>> controls = HeardControls(SoundStreamEncoder(4, 16, strides=(4, 4)))
        >>> controls.serve(synth)
        >>> found = controls({"audio": torch.rand(2, 800), "f0_hz": torch.full((2, 5), 220.0)})
        >>> {name: tuple(value.shape) for name, value in found.items()}
        {'f0_hz': (2, 5, 1), 'amp': (2, 50, 8)}
    """

    def __init__(self, encoder: Encoder, head: Head | None = None) -> None:
        super().__init__()
        self.encoder, self.head = encoder, LinearHead() if head is None else head

    def build(self, synth: Synth) -> None:
        made = {name: size for name, size in synth.control_sizes.items() if self.head.makes(name)}
        if not made:
            raise ValueError(
                f"{type(self.head).__name__} makes no control of {self.player}, which has "
                f"{', '.join(synth.control_sizes) or 'none'}: take GivenControls, or give the synth ranges."
            )
        bounded = [name for name in made if not has_unit(name) and name not in synth.linear]
        if bounded and not self.head.squashes:
            raise ValueError(
                f"{type(self.head).__name__} does not keep {', '.join(bounded)} of {self.player} in (0, 1): "
                f"take LinearHead."
            )
        frames = {name: count for name, count in synth.control_frames.items() if name in made}
        self.head.build(self.encoder.num_features, made, frames)

    def forward(self, batch: Batch) -> Controls:
        brought = {
            name: self.from_batch(batch, name)
            for name in self.control_sizes
            if name not in self.head.control_sizes
        }
        made = self.head(self.encoded(self.encoder, batch)) | brought
        return {name: made[name] for name in self.control_sizes}
