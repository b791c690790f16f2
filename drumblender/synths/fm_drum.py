"""A drum whose sine is frequency-modulated by a second one."""

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.decays import decaying_sweep, exponential_decay, modulated_sine
from drumblender.dsp.units import Range, db_to_gain
from drumblender.synths.drum_synth import DECAY_MS, DRIVE_DB, FREQ_HZ, GAIN_DB, SWEEP, DrumSynth, Knobs
from drumblender.types import Audio


class FMDrumSynth(DrumSynth):
    """A sine whose pitch follows a decay and a second, swept and decaying sine; with noise into a tanh.

    Args:
        sample_rate: Samples per second.
        noise_samples: Samples of noise drawn once for all hits; 0 draws anew each time.

    Examples:
        >>> import torch
        >>> drum = FMDrumSynth(44100)
        >>> middle = {name: torch.full((1, 1, 1), 0.5) for name in drum.control_sizes}
        >>> drum(middle, num_samples=22050).shape
        torch.Size([1, 22050])
        >>> drum.to_units(middle)["osc.freq_hz"].item()
        1010.0
    """

    def __init__(self, sample_rate: int, noise_samples: int = 0) -> None:
        ranges = {
            "amp_env.decay": DECAY_MS,
            "freq_env.decay": DECAY_MS,
            "osc.freq": FREQ_HZ,
            "osc.mod": SWEEP,
            "mod_amp_env.decay": DECAY_MS,
            "mod_freq_env.decay": DECAY_MS,
            "mod_osc.freq": FREQ_HZ,
            "mod_osc.mod": SWEEP,
            "mod_gain.gain": Range(-48.0, 48.0),
            "noise_env.decay": DECAY_MS,
            "tonal_gain.gain": GAIN_DB,
            "noise_gain.gain": GAIN_DB,
            "tanh.in_gain": DRIVE_DB,
        }
        super().__init__(ranges, sample_rate, noise_samples)

    def render(self, knobs: Knobs, noise: Float[Tensor, "#batch samples"]) -> Audio:
        size = {"num_samples": noise.shape[-1], "sample_rate": self.sample_rate}
        modulator = decaying_sweep(
            knobs["mod_osc.freq"],
            knobs["mod_osc.mod"],
            knobs["mod_freq_env.decay"],
            knobs["mod_amp_env.decay"],
            db_to_gain(knobs["mod_gain.gain"]),
            **size,
        )
        fall = exponential_decay(knobs["freq_env.decay"], **size)
        tone = modulated_sine(
            knobs["osc.freq"], fall + modulator, knobs["osc.mod"], sample_rate=self.sample_rate
        )
        tonal, level, drive = (
            db_to_gain(knobs[name])[:, None]
            for name in ("tonal_gain.gain", "noise_gain.gain", "tanh.in_gain")
        )
        tone = tone * exponential_decay(knobs["amp_env.decay"], **size)
        hiss = noise * exponential_decay(knobs["noise_env.decay"], **size)
        return (drive * (tonal * tone + level * hiss)).tanh()
