"""What an instrument sounds like at a pitch and a loudness: a table of spectra, or all that was heard."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.units import hz_to_midi

Curves = dict[str, Tensor]

_WIDTHS = {"f0_hz": 2.0, "loudness_db": 4.0, "age_s": 0.35, "peak_db": 4.0, "brightness_hz": 0.15}
"""How near frames are alike: semitones, dB, natural logarithms of 10 ms and more, dB, octaves."""


_FARTHEST = -60.0
"""Logarithm of the least weight: nothing in a mean, and no denormal number, with which a CPU is slow."""

_ROWS = 128  # frames looked up at once on a CPU, whose caches hold their weights


class SpectrumTable(nn.Module):
    """Levels of harmonics and noise bands, in dB relative to the loudness, by pitch and loudness.

    ``learn`` fills it from measured frames: each cell is their mean, weighted by how near they are. It lies
    in checkpoints. Between cells it is read on straight lines, beyond them held.

    Args:
        num_harmonics: Harmonics.
        num_bands: Bands of noise.
        lowest_midi: First pitch; cells are a semitone and a half apart.
        highest_midi: Last pitch.
        quietest_db: First loudness; cells are 4 dB apart, the last at 0 dB.

    Examples:
        >>> notes = {"f0_hz": torch.full((60,), 220.0), "loudness_db": torch.linspace(-59, 0, 60)}
        >>> brighter = torch.stack([torch.zeros(60), notes["loudness_db"]], dim=-1)
        >>> table = SpectrumTable(num_harmonics=1, num_bands=1)
        >>> table.learn(notes, brighter, torch.ones(60, 2, dtype=torch.bool))
        >>> table({"f0_hz": torch.tensor([[220.0]]), "loudness_db": torch.tensor([[-30.0]])}).round()
        tensor([[[  0., -30.]]])
    """

    hears = ("f0_hz", "loudness_db")
    values: Tensor
    known: Tensor

    def __init__(
        self,
        num_harmonics: int = 100,
        num_bands: int = 24,
        lowest_midi: float = 36.0,
        highest_midi: float = 90.0,
        quietest_db: float = -72.0,
    ) -> None:
        super().__init__()
        if min(num_harmonics, num_bands) < 1 or lowest_midi >= highest_midi or quietest_db >= 0:
            raise ValueError(
                f"Out of range or order: {num_harmonics=}, {num_bands=}, {lowest_midi=}, "
                f"{highest_midi=}, {quietest_db=}."
            )
        self.num_harmonics, self.num_bands = num_harmonics, num_bands
        pitches = torch.linspace(lowest_midi, highest_midi, round((highest_midi - lowest_midi) / 1.5) + 1)
        levels = torch.linspace(quietest_db, 0.0, round(-quietest_db / 4) + 1)
        self.register_buffer("pitches", pitches, persistent=False)
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("values", torch.zeros(len(pitches), len(levels), num_harmonics + num_bands))
        self.register_buffer("known", torch.tensor(False))
        self._learned = False

    @torch.no_grad()
    def learn(self, curves: Curves, spectra: Float[Tensor, "frames lines"], measured: Tensor) -> None:
        """Take over what was measured.

        Args:
            curves: ``f0_hz`` and ``loudness_db`` of each frame.
            spectra: Harmonics, then bands, in dB relative to the loudness.
            measured: Which of these could be measured at all.
        """
        cells = torch.cartesian_prod(self.pitches, self.levels)
        places = {"f0_hz": 440 * torch.exp2((cells[:, 0] - 69) / 12), "loudness_db": cells[:, 1]}
        self.values.copy_(kernel_mean(places, curves, spectra, measured).view_as(self.values))
        self.known.fill_(True)
        self._learned = True

    def forward(self, curves: Curves) -> Float[Tensor, "*frames lines"]:
        """Spectra at ``f0_hz`` and ``loudness_db``.

        Raises:
            ValueError: The table has learned nothing.
        """
        self._learned = self._learned or bool(self.known)  # read once: a GPU waits for it
        if not self._learned:
            raise ValueError("The table of spectra is empty: train it, or load a checkpoint.")
        row, down = _between(self.pitches, hz_to_midi(curves["f0_hz"].clamp(min=1.0)))
        column, right = _between(self.levels, curves["loudness_db"])
        top = torch.lerp(self.values[row, column], self.values[row, column + 1], right)
        bottom = torch.lerp(self.values[row + 1, column], self.values[row + 1, column + 1], right)
        return torch.lerp(top, bottom, down)


class KernelSpectra(nn.Module):
    """All frames that were measured, and for each that is asked for the mean of those like it.

    Nearer to an instrument than a table, as it can tell an attack from a decay, and larger and slower.

    Args:
        num_harmonics: Harmonics.
        num_bands: Bands of noise.
        hears: The curves that tell frames apart.
        num_frames: Frames to keep, evenly drawn.
        widths: How near frames are alike, where that is not as usual: semitones, dB, natural logarithms of
            10 ms and more, dB, octaves.

    Examples:
        >>> notes = {"f0_hz": torch.full((50,), 220.0), "age_s": torch.linspace(0, 2, 50)}
        >>> spectra = KernelSpectra(num_harmonics=2, num_bands=1, hears=("f0_hz", "age_s"), num_frames=50)
        >>> fading = notes["age_s"][:, None].expand(-1, 3) * -10
        >>> spectra.learn(notes, fading, torch.ones(50, 3, dtype=torch.bool))
        >>> asked = {"f0_hz": torch.full((1, 2), 220.0), "age_s": torch.tensor([[0.0, 1.0]])}
        >>> spectra(asked)[0, :, 0].round()  # an attack and a decay
        tensor([ -0., -11.])
    """

    def __init__(
        self,
        num_harmonics: int = 100,
        num_bands: int = 24,
        hears: tuple[str, ...] = ("f0_hz", "loudness_db", "age_s", "peak_db"),
        num_frames: int = 4096,
        widths: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        if unknown := sorted({*hears, *(widths or {})} - set(_WIDTHS)):
            raise ValueError(f"Frames cannot be told apart by {unknown}; by {', '.join(_WIDTHS)} they can.")
        if not all(width > 0 for width in (widths or {}).values()):
            raise ValueError(f"Widths are above 0, got {widths}.")
        self.widths = _WIDTHS | (widths or {})
        self.num_harmonics, self.num_bands, self.hears = num_harmonics, num_bands, tuple(hears)
        lines = num_harmonics + num_bands
        self.register_buffer("places", torch.zeros(num_frames, len(hears)))
        self.register_buffer("spectra", torch.zeros(num_frames, lines))
        self.register_buffer("known", torch.tensor(False))
        self.register_buffer("offsets", torch.zeros(num_frames), persistent=False)
        self.register_load_state_dict_post_hook(_tell_offsets)
        self._learned = False

    @torch.no_grad()
    def learn(self, curves: Curves, spectra: Float[Tensor, "frames lines"], measured: Tensor) -> None:
        """Take over what was measured; as :meth:`SpectrumTable.learn`, with all curves of ``hears``.

        Lines that a frame could not measure are those of frames like it that could.
        """
        kept = torch.linspace(0, len(spectra) - 1, len(self.spectra)).round().long()
        near = {name: curves[name][kept] for name in self.hears}
        own = spectra[kept], measured[kept]
        filled = torch.where(own[1], own[0], kernel_mean(near, near, *own, self.widths))
        self.places.copy_(self._places(near))
        _tell_offsets(self)
        self.spectra.copy_(filled)
        self.known.fill_(True)
        self._learned = True

    def forward(self, curves: Curves) -> Float[Tensor, "*frames lines"]:
        self._learned = self._learned or bool(self.known)  # read once: a GPU waits for it
        if not self._learned:
            raise ValueError("No spectra are known: train, or load a checkpoint.")
        asked = self._places({name: curves[name] for name in self.hears})
        if asked.device.type != "cpu" or torch.jit.is_tracing():
            return self._mean(asked)
        rows = [self._mean(some) for some in asked.flatten(0, -2).split(_ROWS)]
        return torch.cat(rows).unflatten(0, asked.shape[:-1])

    @in_full_precision
    def _mean(self, asked: Float[Tensor, "*frames hears"]) -> Float[Tensor, "*frames lines"]:
        # Of -|a - p|^2 / 2 what is the same for all places p is lost beside the nearest.
        nearness = torch.nn.functional.linear(asked, self.places, self.offsets)
        nearness = nearness - nearness.amax(dim=-1, keepdim=True)
        weight = nearness.clamp(min=_FARTHEST).exp()
        return (weight @ self.spectra) / weight.sum(dim=-1, keepdim=True)

    def _places(self, curves: Curves) -> Float[Tensor, "*frames hears"]:
        return torch.stack([_even(name, curves[name]) / self.widths[name] for name in self.hears], dim=-1)


@torch.no_grad()
def _tell_offsets(table: KernelSpectra, *_: object) -> None:
    """What a frame's distance to any other has in common: made of its place, so in no checkpoint."""
    table.offsets.copy_(-0.5 * table.places.square().sum(dim=-1))


def kernel_mean(
    asked: Curves,
    curves: Curves,
    spectra: Float[Tensor, "frames lines"],
    measured: Bool[Tensor, "frames lines"],
    widths: dict[str, float] | None = None,
    chunk: int = 2048,
) -> Float[Tensor, "asked lines"]:
    """Mean of spectra, weighted by a Gaussian of how far their curves lie from those asked for.

    Lines that no frame nearby has measured are -100 dB.
    """
    widths = _WIDTHS if widths is None else widths
    known, wanted = (
        torch.stack([_even(name, some[name]) / widths[name] for name in asked], dim=-1)
        for some in (curves, asked)
    )
    mask = measured.to(spectra)
    rows = []
    for some in wanted.split(chunk):
        distance = torch.cdist(some, known).square()
        weight = torch.exp(-0.5 * (distance - distance.amin(dim=1, keepdim=True)).clamp(max=100))
        total = weight @ mask
        mean = (weight @ (spectra * mask)) / total.clamp(min=1e-12)
        rows.append(torch.where(total > 1e-9, mean, -100.0))
    return torch.cat(rows)


def _even(name: str, curve: Tensor) -> Tensor:
    """A curve on the scale of its width."""
    if name == "f0_hz":
        curve = hz_to_midi(curve.clamp(min=1.0))
    elif name == "age_s":
        curve = torch.log(curve.clamp(min=0) + 0.01)
    elif name == "brightness_hz":
        curve = torch.log2(curve.clamp(min=1.0))
    return curve


def _between(grid: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The cell before each value, and the share of the one after it with an axis for the lines."""
    place = (value - grid[0]) / (grid[1] - grid[0])
    place = place.nan_to_num().clamp(0, len(grid) - 1)  # no number is no place: its level tells
    before = place.floor().long().clamp(max=len(grid) - 2)
    return before, (place - before)[..., None]
