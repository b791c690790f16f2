"""Several synths played as one."""

from torch import nn

from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class MixSynth(Synth):
    """Plays synths together and sums them, so that one search or one encoder finds the controls of all.

    The control ``freq`` of the synth named ``modal`` is called ``modal_freq`` here.

    Args:
        synths: The parts by name.

    Raises:
        ValueError: There is no synth, or two controls get one name.
    """

    def __init__(self, synths: dict[str, Synth]) -> None:
        super().__init__()
        if not synths:
            raise ValueError("A mix needs at least one synth, got none.")
        self.synths = nn.ModuleDict(synths)
        self.hears = any(synth.hears for synth in synths.values())
        self.control_sizes = {}
        for name, synth in synths.items():
            for control, size in synth.control_sizes.items():
                if f"{name}_{control}" in self.control_sizes:
                    raise ValueError(
                        f"Two controls of the mix are called {name}_{control}: rename synth {name!r}."
                    )
                self.control_sizes[f"{name}_{control}"] = size
            for control, frames in synth.control_frames.items():
                self.control_frames[f"{name}_{control}"] = frames

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        return sum(
            synth(self._share(name, controls), num_samples, source) for name, synth in self.synths.items()
        )

    def to_units(self, controls: Controls) -> Controls:
        return {
            f"{name}_{control}": value
            for name, synth in self.synths.items()
            for control, value in synth.to_units(self._share(name, controls)).items()
        }

    def _share(self, name: str, controls: Controls) -> Controls:
        """What the named synth is played with, under its own names."""
        return {control: controls[f"{name}_{control}"] for control in self.synths[name].control_sizes}
