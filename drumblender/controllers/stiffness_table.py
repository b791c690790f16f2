"""How stiff the strings of an instrument are, by pitch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.units import hz_to_midi

_LOWEST_MIDI, _HIGHEST_MIDI = 24, 108


class StiffnessTable(nn.Module):
    """Stiffness B of the string that plays a pitch (see :func:`~drumblender.dsp.partials.partials_hz`).

    ``learn`` fills it: each semitone has the median of the frames that were measured there, and one without
    any that of the nearest. It lies in checkpoints. Between semitones it is read on straight lines of the
    logarithm, beyond them held.

    Examples:
        >>> table = StiffnessTable()
        >>> table.learn(torch.tensor([220.0, 220.0, 440.0]), torch.tensor([1e-4, 1e-4, 4e-4]))
        >>> (1e5 * table(torch.tensor([[110.0, 220.0, 880.0]]))).round()
        tensor([[10., 10., 40.]])
    """

    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(_HIGHEST_MIDI - _LOWEST_MIDI + 1))

    @torch.no_grad()
    def learn(self, f0_hz: Float[Tensor, "frames"], stiffness: Float[Tensor, "frames"]) -> None:
        """Take over what was measured; 0 is not measured.

        Raises:
            ValueError: Nothing was.
        """
        sure = stiffness > 0
        if not sure.any():
            raise ValueError("No stiffness is known: no note has partials that stand out.")
        midi = hz_to_midi(f0_hz[sure]).round().clamp(_LOWEST_MIDI, _HIGHEST_MIDI)
        known = midi.unique()
        medians = torch.stack([stiffness[sure][midi == pitch].median() for pitch in known])
        cells = torch.arange(_LOWEST_MIDI, _HIGHEST_MIDI + 1).to(known)
        self.values.copy_(medians[(cells[:, None] - known).abs().argmin(dim=1)])

    def forward(self, f0_hz: Float[Tensor, "*frames"]) -> Float[Tensor, "*frames"]:
        place = (hz_to_midi(f0_hz.clamp(min=1.0)) - _LOWEST_MIDI).nan_to_num()
        place = place.clamp(0, len(self.values) - 1)
        before = place.floor().long().clamp(max=len(self.values) - 2)
        logs = self.values.clamp(min=1e-12).log()
        return torch.lerp(logs[before], logs[before + 1], place - before).exp()
