"""A kick or tom: one swept sine and a breath of noise."""

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.decays import decaying_sweep, exponential_decay
from drumblender.dsp.units import db_to_gain
from drumblender.synths.drum_synth import DECAY_MS, DRIVE_DB, FREQ_HZ, GAIN_DB, SWEEP, DrumSynth, Knobs
from drumblender.types import Audio


class SimpleDrumSynth(DrumSynth):
    """A sine whose pitch falls, and unfiltered noise, each with its own decay, into a tanh and a gain.

    Args:
        sample_rate: Samples per second.
        noise_samples: Samples of noise drawn once for all hits; 0 draws anew each time.

    Examples:
        >>> import torch
        >>> drum = SimpleDrumSynth(44100)
        >>> drum.num_params
        9
        >>> drum.play(torch.rand(3, drum.num_params), num_samples=22050).shape
        torch.Size([3, 22050])
    """

    def __init__(self, sample_rate: int, noise_samples: int = 0) -> None:
        ranges = {
            "amp_env.decay": DECAY_MS,
            "freq_env.decay": DECAY_MS,
            "osc.freq": FREQ_HZ,
            "osc.mod": SWEEP,
            "tanh.in_gain": DRIVE_DB,
            "gain.gain": GAIN_DB,
            "noise_env.decay": DECAY_MS,
            "tonal_gain.gain": GAIN_DB,
            "noise_gain.gain": GAIN_DB,
        }
        super().__init__(ranges, sample_rate, noise_samples)

    def render(self, knobs: Knobs, noise: Float[Tensor, "#batch samples"]) -> Audio:
        size = {"num_samples": noise.shape[-1], "sample_rate": self.sample_rate}
        tone = decaying_sweep(
            knobs["osc.freq"],
            knobs["osc.mod"],
            knobs["freq_env.decay"],
            knobs["amp_env.decay"],
            db_to_gain(knobs["tonal_gain.gain"]),
            **size,
        )
        level, drive, gain = (
            db_to_gain(knobs[name])[:, None] for name in ("noise_gain.gain", "tanh.in_gain", "gain.gain")
        )
        hiss = noise * exponential_decay(knobs["noise_env.decay"], **size)
        return gain * (drive * (tone + level * hiss)).tanh()
