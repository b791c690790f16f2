"""Strings made on the fly, so that a network can be trained on coefficients that are known."""

from collections.abc import Iterator, Mapping

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from drumblender.data.notes import analyse_unknown
from drumblender.dsp.noise import noise_burst
from drumblender.dsp.units import midi_to_hz
from drumblender.features import AWeightedLoudness, NoPitchError
from drumblender.open_sound import BadAudioError
from drumblender.synths import StringSynth
from drumblender.types import Audio, StringBatch

_NEPER_DB = 10 / torch.log(torch.tensor(10.0)).item()  # dB of power that one unit of its natural logarithm is


def draw_uniforms(
    batch_size: int,
    loop_order: int,
    excitation_order: int,
    burst: int,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """All draws in [0, 1) that :func:`random_strings` makes its strings of, in the published order."""
    taps, poles, one = loop_order + 1, excitation_order, (1,)
    shapes = {"pitch": one, "gain_start": one, "gain_end": one, "gain_mid": (1, 1)}
    shapes |= {"loop_start": (taps,), "loop_end": (taps,), "loop_mid": (1, taps)}
    shapes |= {"exc_start": (poles,), "exc_end": (poles,), "exc_mid": (1, poles)}
    shapes |= {"exc_gain_start": one, "exc_gain_end": one, "exc_gain_mid": (1, 1)}
    draws = {
        name: torch.rand(batch_size, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    return draws | {"burst": torch.rand(batch_size, burst, generator=generator)}


@torch.no_grad()
def random_strings(
    synth: StringSynth,
    batch_size: int = 8,
    *,
    generator: torch.Generator | None = None,
    uniforms: Mapping[str, Tensor] | None = None,
    duration_s: float = 4.0,
    burst_s: float = 0.025,
    note_off_s: float = 3.0,
    note_off_gain: float = 0.1,
    lowest_midi: float = 40.0,
    highest_midi: float = 88.0,
    hop_length: int = 256,
    per_item: bool = True,
) -> StringBatch:
    """Plucked strings of random pitch, decay, loop and excitation, with their coefficients.

    The pitch is uniform in MIDI and held. Gain and coefficients run from a random start to a random end, with
    a knee at their mean somewhere in the middle half. A gain is that of a 440 Hz string that falls by 60 dB
    in 5 to 10 s. The same burst of noise, softer, sounds again at the note's end.

    Args:
        synth: Renders; with ``excitation="source"``.
        batch_size: Strings to make; those of ``uniforms`` where given.
        generator: Where the draws come from; the global generator without it.
        uniforms: Draws in [0, 1) to use instead, named as :func:`draw_uniforms` does.
        duration_s: Length of each sound.
        burst_s: Length of the burst.
        note_off_s: When it sounds again.
        note_off_gain: How loud then.
        lowest_midi: Lowest pitch.
        highest_midi: Highest pitch.
        hop_length: Samples of a frame of pitch and loudness.
        per_item: Normalise every burst by its own mean and peak, not by those of the batch as published.

    Raises:
        ValueError: The synth does not take an excitation, or a time does not fit.

    Examples:
        >>> batch = random_strings(StringSynth(excitation="source"), 2, duration_s=0.5, note_off_s=0.4)
        >>> batch["audio"].shape, batch["loop_coefficients"].shape
        (torch.Size([2, 8000]), torch.Size([2, 16, 3]))
    """
    if synth.excitation != "source":
        raise ValueError(f"Random strings need a synth with excitation='source', not {synth.excitation!r}.")
    rate, num_samples = synth.sample_rate, int(duration_s * synth.sample_rate)
    taps, poles = synth.control_sizes["loop_taps"], synth.control_sizes["excitation_taps"]
    if uniforms is None:
        uniforms = draw_uniforms(batch_size, taps - 1, poles, int(burst_s * rate), generator)
    loop_frames, poles_frames = synth.control_frames["loop_taps"], synth.control_frames["excitation_taps"]
    u = uniforms
    f0_hz = midi_to_hz(lowest_midi + (highest_midi - lowest_midi) * u["pitch"])
    gain = _knee(_decay(u["gain_start"]), _decay(u["gain_end"]), u["gain_mid"], loop_frames)
    loop = _knee(_share(u["loop_start"]), _share(u["loop_end"]), u["loop_mid"], loop_frames)
    excitation = _knee(_share(u["exc_start"]), _share(u["exc_end"]), u["exc_mid"], poles_frames)
    units = {
        "f0_hz": f0_hz[..., None],
        "loop_coefficients": loop / loop.sum(dim=-1, keepdim=True),
        "loop_gain": gain,
        "excitation_coefficients": excitation
        / excitation.sum(dim=-1, keepdim=True)
        * _decay(u["exc_gain_start"])[..., None],
    }
    burst = noise_burst(rate, duration_s, burst_s, normalize=True, per_item=per_item, uniform=u["burst"])
    late = int(note_off_s * rate)
    again = torch.nn.functional.pad(burst, (late, 0))[:, :num_samples]
    audio = synth.play_coefficients(units, num_samples, burst + note_off_gain * again).audio
    loudness_db = AWeightedLoudness(rate, hop_length, db=True)(audio)
    return {
        "audio": audio,
        "f0_hz": f0_hz.float().expand(-1, loudness_db.shape[1]),
        "loudness_db": loudness_db,
        "loop_coefficients": (units["loop_coefficients"] * gain).float(),
        "excitation_coefficients": units["excitation_coefficients"].float(),
    }


class SyntheticStringsDataModule(L.LightningDataModule):
    """Batches ``StringBatch`` of random strings: new ones every epoch to train with, fixed ones to evaluate.

    A string depends on the seed, the epoch and its place alone: a resumed run goes on with what it would have
    seen.

    Args:
        synth: Renders the strings; with ``excitation="source"``.
        batch_size: Strings in a batch.
        batches_per_epoch: Batches of a training epoch.
        val_items: Strings to validate with, and other ones to test with.
        seed: Of all draws.
        duration_s: Length of each sound.
        hop_length: Samples of a frame of pitch and loudness.
        num_workers: Processes that render.

    Examples:
        >>> data = SyntheticStringsDataModule(StringSynth(excitation="source"), batch_size=2, duration_s=0.5)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["audio"].shape, batch["f0_hz"].shape
        (torch.Size([2, 8000]), torch.Size([2, 31]))
    """

    unusable = (BadAudioError, NoPitchError)

    def __init__(
        self,
        synth: StringSynth,
        batch_size: int = 8,
        batches_per_epoch: int = 100,
        val_items: int = 200,
        seed: int = 42,
        duration_s: float = 4.0,
        hop_length: int = 256,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if min(batch_size, batches_per_epoch, val_items) < 1:
            raise ValueError(f"Need at least 1, got {batch_size=}, {batches_per_epoch=}, {val_items=}.")
        if synth.excitation != "source":
            raise ValueError(
                f"Random strings need a synth with excitation='source', not {synth.excitation!r}."
            )
        self.synth, self.batch_size, self.num_workers = synth, batch_size, num_workers
        self.batches_per_epoch, self.val_items, self.seed = batches_per_epoch, val_items, seed
        self.duration_s, self.hop_length = duration_s, hop_length
        self.sample_rate = synth.sample_rate
        self.num_samples = int(duration_s * synth.sample_rate)

    def loudness_statistics(self) -> tuple[float, float]:
        """0, and the dB of one neper of power: networks see the natural logarithm, as published."""
        return 0.0, _NEPER_DB

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Pitch and loudness of sounds never seen."""
        return analyse_unknown(audio, self.sample_rate, self.hop_length)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", EpochSampler(self.batches_per_epoch))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", range(-(-self.val_items // self.batch_size)))

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", range(-(-self.val_items // self.batch_size)))

    predict_dataloader = test_dataloader

    def _loader(self, split: str, sampler: "Sampler[int] | range") -> DataLoader:
        items = _Batches(self, split)
        return DataLoader(items, batch_size=None, sampler=sampler, num_workers=self.num_workers)


class EpochSampler(Sampler[int]):
    """Counts on through the epochs: epoch e of n places gives e n to e n + n - 1; Lightning sets e."""

    def __init__(self, size: int) -> None:
        self.size, self.epoch = size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.epoch * self.size, (self.epoch + 1) * self.size))

    def __len__(self) -> int:
        return self.size


class _Batches(Dataset[StringBatch]):
    """Whole batches by their number: the synth renders them at once."""

    _STREAMS = ("train", "val", "test")

    def __init__(self, data: SyntheticStringsDataModule, split: str) -> None:
        self.synth, self.hop_length, self.duration_s = data.synth, data.hop_length, data.duration_s
        self.batch_size, self.split, self.seed = data.batch_size, split, data.seed
        self.num_items = None if split == "train" else data.val_items

    def __getitem__(self, number: int) -> StringBatch:
        first = number * self.batch_size
        size = self.batch_size if self.num_items is None else min(self.batch_size, self.num_items - first)
        stream = self._STREAMS.index(self.split)
        # torch looks at 32 bits of a seed: they must be mixed from all three numbers.
        mixed = np.random.SeedSequence((self.seed, stream, number)).generate_state(1).item()
        generator = torch.Generator().manual_seed(mixed)
        batch = random_strings(
            self.synth,
            size,
            generator=generator,
            duration_s=self.duration_s,
            hop_length=self.hop_length,
            note_off_s=self.duration_s * 0.75,
        )
        return batch | {"name": [f"{self.split}-{first + place:05}" for place in range(size)]}


def _decay(uniform: Tensor) -> Tensor:
    """Loop gain of a 440 Hz string that falls by 60 dB in 5 to 10 s."""
    return 1e-3 ** (1 / (440 * (5 + 5 * uniform)))


def _share(uniform: Tensor) -> Tensor:
    return 0.0999 + 0.9 * uniform


def _knee(
    start: Float[Tensor, "batch size"],
    end: Float[Tensor, "batch size"],
    middle: Float[Tensor, "batch 1 size"],
    num_frames: int,
) -> Float[Tensor, "batch frames size"]:
    """Straight from start to the mean of both, then straight to the end, at frame ``num_frames``."""
    start, end = start[:, None], end[:, None]
    bend, level = num_frames * (0.25 + 0.5 * middle), (start + end) / 2
    frame = torch.arange(num_frames, dtype=start.dtype)[None, :, None]
    rising = start + (level - start) * frame / bend
    falling = level + (end - level) * (frame - bend) / (num_frames - bend)
    return torch.where(frame < bend, rising, falling)
