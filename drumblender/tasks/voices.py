"""A voice: a synth, what plays it, and how its sound joins the mix."""

from typing import Literal

from torch import Tensor, nn

from drumblender.controllers import Controller, GivenControls
from drumblender.synths import Synth
from drumblender.types import Audio, Controls


class Voice(nn.Module):
    """A synth and the controller that plays it.

    Args:
        synth: What sounds.
        controls: Turn a batch into the controls of the synth; by default they are fields of the batch.
        combine: ``add`` the sound to the mix, or ``replace`` the mix by it.
        source: What a synth that needs a source works on: the ``mix`` of the voices before it, or the
            ``target`` itself, as the resynthesis of a string does.

    Raises:
        ValueError: The controller cannot play the synth.

    Examples:
        >>> import torch
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.synths import NoiseSynth
        >>> voice = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        >>> voice({"audio": torch.zeros(2, 1000)}, num_samples=1000).shape
        torch.Size([2, 1000])
    """

    def __init__(
        self,
        synth: Synth,
        controls: Controller | None = None,
        combine: Literal["add", "replace"] = "add",
        source: Literal["mix", "target"] = "mix",
    ) -> None:
        super().__init__()
        if combine not in ("add", "replace") or source not in ("mix", "target"):
            raise ValueError(
                f"combine is 'add' or 'replace', source 'mix' or 'target', got {combine!r} and {source!r}."
            )
        self.synth, self.controls = synth, GivenControls() if controls is None else controls
        self.combine, self.source = combine, source
        self.controls.serve(synth)

    @property
    def needs_mix(self) -> bool:
        """It works on the voices before it, so it cannot be the first."""
        return self.controls.hears_mix or self.synth.needs_source and self.source == "mix"

    def heard(self, batch: dict[str, Tensor], mix: Audio | None) -> dict[str, Tensor]:
        """What its controller hears: the batch and, if it listens to it, the ``mix`` before this voice."""
        return {**batch, "mix": mix.detach()} if self.controls.hears_mix else batch

    def forward(
        self,
        batch: dict[str, Tensor],
        mix: Audio | None = None,
        noise: Tensor | None = None,
        *,
        num_samples: int,
    ) -> Audio:
        """The sound of this voice alone.

        Args:
            batch: What the controller hears, and the target where the synth works on that.
            mix: Sum of the voices so far; None for the first.
            noise: White noise for a synth that takes it, instead of its own draw.
            num_samples: Length of the sound.
        """
        controls = self.controls(self.heard(batch, mix))
        return self.play(controls, batch, mix, noise, num_samples=num_samples)

    def play(
        self,
        controls: Controls,
        batch: dict[str, Tensor],
        mix: Audio | None = None,
        noise: Tensor | None = None,
        *,
        num_samples: int,
    ) -> Audio:
        """The sound of these controls; the rest as of a call."""
        if noise is not None and self.synth.takes_noise:
            return self.synth(controls, num_samples, noise=noise)
        if not self.synth.needs_source:
            return self.synth(controls, num_samples)
        return self.synth(controls, num_samples, source=mix if self.source == "mix" else batch["audio"])

    def join(self, mix: Audio | None, sound: Audio) -> Audio:
        """The mix with this voice."""
        return sound if mix is None or self.combine == "replace" else mix + sound
