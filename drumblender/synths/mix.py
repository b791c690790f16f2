"""Several synths played as one."""

from torch import nn

from drumblender.synths.base import Synth, check_controls
from drumblender.types import Audio, Controls


class MixSynth(Synth):
    """Plays synths together and sums them, so that one search or one encoder finds the controls of all.

    The control ``freq`` of the synth named ``modal`` is called ``modal_freq`` here.

    Args:
        synths: The parts by name.

    Raises:
        ValueError: There is no synth, two controls get one name, or the synths play at different rates.
    """

    def __init__(self, synths: dict[str, Synth]) -> None:
        super().__init__()
        if not synths:
            raise ValueError("A mix needs at least one synth, got none.")
        self.synths = nn.ModuleDict(synths)
        self.needs_source = any(synth.needs_source for synth in synths.values())
        rates = {synth.sample_rate for synth in synths.values()} - {None}
        if len(rates) > 1:
            raise ValueError(f"The synths of a mix play at {sorted(rates)} Hz; give them one sample_rate.")
        self.sample_rate = next(iter(rates), None)
        self.control_sizes = {}
        self.linear = tuple(f"{name}_{part}" for name, synth in synths.items() for part in synth.linear)
        for name, synth in synths.items():
            for control, size in synth.control_sizes.items():
                if f"{name}_{control}" in self.control_sizes:
                    raise ValueError(
                        f"Two controls of the mix are called {name}_{control}: rename synth {name!r}."
                    )
                self.control_sizes[f"{name}_{control}"] = size
            for own, of_part in (
                (self.control_frames, synth.control_frames),
                (self.ranges, synth.ranges),
                (self.units, synth.units),
            ):
                own.update({f"{name}_{control}": value for control, value in of_part.items()})

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        check_controls(type(self).__name__, controls, dict.fromkeys(self.control_sizes))
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
