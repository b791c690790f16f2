"""A voice: a synth, what plays it, and how its sound joins the mix."""

from typing import Literal

from torch import Tensor, nn

from drumblender.controllers import LinearHead, ModeGains, SplitHead
from drumblender.encoders import Encoder
from drumblender.synths import NoiseSynth, Synth
from drumblender.types import Audio, AudioBatch, Controls


class Voice(nn.Module):
    """Plays a synth with controls that an encoder hears in the target, or with those of the batch.

    Args:
        synth: What sounds. One that ``hears`` works on the mix of the voices before this one.
        encoder: Listens to the target. None: the batch has a field for every control of the synth.
        head: Between the two: ``split`` hands the features on as they are (as many as the synth takes),
            ``linear`` learns a layer for each control.
        gains: Learned gains on the mode amplitudes that the batch brings.
        combine: ``add`` the sound to the mix, or ``replace`` the mix by it.
    """

    def __init__(
        self,
        synth: Synth,
        encoder: Encoder | None = None,
        head: Literal["linear", "split"] = "linear",
        gains: ModeGains | None = None,
        combine: Literal["add", "replace"] = "add",
    ) -> None:
        super().__init__()
        if encoder is not None and gains is not None:
            raise ValueError("gains are for controls that the batch brings; this voice has an encoder.")
        self.synth, self.encoder, self.gains, self.combine = synth, encoder, gains, combine
        self.head = None
        if encoder is not None and head == "linear":
            self.head = LinearHead(encoder.num_features, synth.control_sizes, synth.control_frames)
        elif encoder is not None:
            self.head = SplitHead(encoder.num_features, synth.control_sizes)

    def controls(self, batch: AudioBatch) -> Controls:
        """What the synth is played with.

        Raises:
            ValueError: No encoder, and the batch lacks a control.
        """
        if self.encoder is not None and self.head is not None:
            return self.head(self.encoder(batch["audio"]))
        missing = [name for name in self.synth.control_sizes if name not in batch]
        if missing:
            raise ValueError(
                f"{type(self.synth).__name__} has no encoder and the batch brings no {missing}, only "
                f"{sorted(batch)}: give the voice an encoder or pair the task with data that has them."
            )
        controls = {name: batch[name] for name in self.synth.control_sizes}
        return controls if self.gains is None else self.gains(controls)

    def forward(self, batch: AudioBatch, mix: Audio | None, noise: Tensor | None = None) -> Audio:
        """The sound of this voice alone.

        Args:
            batch: The target, and its modes where the synth plays those.
            mix: Sum of the voices so far; None for the first.
            noise: White noise for a noise synth, instead of its own draw.
        """
        controls = self.controls(batch)
        num_samples = batch["audio"].shape[-1]
        if isinstance(self.synth, NoiseSynth):
            return self.synth(controls, num_samples, noise=noise)
        return self.synth(controls, num_samples, source=mix if self.synth.hears else None)
