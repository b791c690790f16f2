"""Plucked strings made of random draws, with the coefficients that made them."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.noise import noise_burst
from drumblender.dsp.units import midi_to_hz
from drumblender.features import AWeightedLoudness
from drumblender.synths import StringSynth
from drumblender.types import Controls, StringBatch


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
    if uniforms is None:
        sizes = synth.control_sizes
        orders = sizes["loop_taps"] - 1, sizes["excitation_taps"]
        uniforms = draw_uniforms(batch_size, *orders, int(burst_s * rate), generator)
    units = _coefficients(synth, uniforms, lowest_midi, highest_midi)
    burst = noise_burst(
        rate, duration_s, burst_s, normalize=True, per_item=per_item, uniform=uniforms["burst"]
    )
    late = int(note_off_s * rate)
    again = torch.nn.functional.pad(burst, (late, 0))[:, :num_samples]
    audio = synth.play_coefficients(units, num_samples, burst + note_off_gain * again).audio
    loudness_db = AWeightedLoudness(rate, hop_length, db=True)(audio)
    return {
        "audio": audio,
        "f0_hz": units["f0_hz"][..., 0].float().expand(-1, loudness_db.shape[1]),
        "loudness_db": loudness_db,
        "loop_coefficients": (units["loop_coefficients"] * units["loop_gain"]).float(),
        "excitation_coefficients": units["excitation_coefficients"].float(),
    }


def _coefficients(
    synth: StringSynth, u: Mapping[str, Tensor], lowest_midi: float, highest_midi: float
) -> Controls:
    """What the draws stand for: a held pitch, and the filters at the frames."""
    loop_frames, poles_frames = synth.control_frames["loop_taps"], synth.control_frames["excitation_taps"]
    f0_hz = midi_to_hz(lowest_midi + (highest_midi - lowest_midi) * u["pitch"])
    loop = _knee(_share(u["loop_start"]), _share(u["loop_end"]), u["loop_mid"], loop_frames)
    excitation = _knee(_share(u["exc_start"]), _share(u["exc_end"]), u["exc_mid"], poles_frames)
    excitation_gain = _decay(u["exc_gain_start"])[..., None]
    return {
        "f0_hz": f0_hz[..., None],
        "loop_coefficients": loop / loop.sum(dim=-1, keepdim=True),
        "loop_gain": _knee(_decay(u["gain_start"]), _decay(u["gain_end"]), u["gain_mid"], loop_frames),
        "excitation_coefficients": excitation / excitation.sum(dim=-1, keepdim=True) * excitation_gain,
    }


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
