"""What every controller is: what plays a synth."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.encoders.base import Encoder
from drumblender.synths.base import Synth
from drumblender.types import Controls

Batch = Mapping[str, Tensor]
"""Fields by name; a field may serve as a control of the same name."""


def module_key(control: str) -> str:
    """A control's name as torch accepts it for a part of a module: ``osc1.freq`` becomes ``osc1/freq``."""
    return control.replace(".", "/")


class Controller(nn.Module, ABC):
    """Turns a batch into the named controls of the synth that it serves.

    Attributes:
        player: Class of the synth, for messages.
        control_sizes, control_frames: As that synth declares them.
        hears_mix: It reads a field ``mix`` of the batch: the sound of the voices before it, without gradient.

    Examples:
        >>> import torch
        >>> from drumblender.synths import SimpleDrumSynth
        >>> class Halfway(Controller):
        ...     def forward(self, batch):
        ...         held = torch.full((len(batch["audio"]), 1, 1), 0.5)
        ...         return {name: held.expand(-1, -1, size) for name, size in self.control_sizes.items()}
        >>> halfway = Halfway()
        >>> halfway.serve(SimpleDrumSynth(44100))
        >>> halfway({"audio": torch.zeros(3, 100)})["osc.freq"].shape
        torch.Size([3, 1, 1])
    """

    player: str
    control_sizes: dict[str, int]
    control_frames: dict[str, int]
    hears_mix: bool = False

    def serve(self, synth: Synth) -> None:
        """Be put together with a synth; a voice calls it once.

        Raises:
            ValueError: This controller cannot play that synth.
        """
        self.player = type(synth).__name__
        self.control_sizes, self.control_frames = dict(synth.control_sizes), dict(synth.control_frames)
        self.build(synth)

    def build(self, synth: Synth) -> None:
        """Make what depends on the synth, such as weights; by default there is nothing of the kind."""

    @abstractmethod
    def forward(self, batch: Batch) -> Controls:
        """The controls, each ``(batch, frames, size)``.

        Raises:
            ValueError: The batch lacks a field that is needed, or brings it in another shape.
        """

    def fields(self, batch: Batch, names: tuple[str, ...]) -> list[Tensor]:
        """Fields of the batch by name.

        Raises:
            ValueError: One is missing.
        """
        if missing := [name for name in names if name not in batch]:
            raise ValueError(
                f"The batch brings no {', '.join(missing)}, only {', '.join(sorted(batch))}: pair the task "
                f"with data that does."
            )
        return [batch[name] for name in names]

    def encoded(
        self, encoder: Encoder, batch: Batch, num_frames: int | None = None
    ) -> Float[Tensor, "batch frames features"]:
        """What an encoder says of the fields that it hears.

        Args:
            encoder: Of this controller.
            batch: Brings the fields.
            num_frames: How many frames there must be; None: any number.

        Raises:
            ValueError: A field is missing, or there is another number of frames.
        """
        features = encoder(*self.fields(batch, encoder.hears))
        if num_frames not in (None, features.shape[1]):
            raise ValueError(
                f"{type(encoder).__name__} gives {features.shape[1]} frames and {type(self).__name__} needs "
                f"{num_frames}, one for each of the curves: take an encoder of curves, such as ControlGRU."
            )
        return features

    def from_batch(self, batch: Batch, name: str) -> Float[Tensor, "batch frames size"]:
        """The control that the batch brings; a field ``(batch, frames)`` holds one number a frame.

        Raises:
            ValueError: The batch has no such field, or of another shape.
        """
        value = batch.get(name)
        if value is None:
            raise ValueError(
                f"{self.player} needs the control {name}, which nothing makes here: take data whose batch "
                f"brings it (this one has {', '.join(sorted(batch))}), or give {self.player} a Range for it "
                f"({name}: {{low: ..., high: ...}}), so that a head can make it."
            )
        value = value[..., None] if value.ndim == 2 and self.control_sizes[name] == 1 else value
        if value.ndim != 3:
            raise ValueError(
                f"The field {name} of the batch is {tuple(value.shape)}; as a control of {self.player} it is "
                f"(batch, frames, {self.control_sizes[name]})."
            )
        return value
