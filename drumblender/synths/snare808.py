"""The snare of the TR-808: two swept sines, and noise through a high-pass."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.drum_voice import drum_voice
from drumblender.dsp.filters import highpass_coefficients
from drumblender.dsp.units import Range, db_to_gain
from drumblender.synths.drum_synth import DECAY_MS, DRIVE_DB, FREQ_HZ, GAIN_DB, SWEEP, DrumSynth, Knobs
from drumblender.types import Audio


class Snare808(DrumSynth):
    """Two sines whose pitch falls together, and high-passed noise, each with its own decay, into a tanh.

    The 14 parameters, in this order, are those of the TorchDrum plug-in (Shier et al., NIME 2024).

    Args:
        sample_rate: Samples per second; the noise filter reaches half of it.
        noise_samples: Samples of noise drawn once for all hits; 0 draws anew each time.
        clamp: Limit the filtered noise to [-1, 1], as published.
        noise_env_post_filter: Shape the noise after the filter, as the plug-in does, instead of before it.

    Examples:
        >>> from drumblender.synths import load_controls
        >>> snare = Snare808(44100)
        >>> hit = snare(load_controls("cfg/presets/808_snare_1.json", snare), num_samples=22050)
        >>> hit.shape, bool(hit.abs().max() < 1)
        (torch.Size([1, 22050]), True)
    """

    def __init__(
        self,
        sample_rate: int,
        noise_samples: int = 0,
        clamp: bool = True,
        noise_env_post_filter: bool = False,
    ) -> None:
        ranges = {
            "osc1.freq": FREQ_HZ,
            "osc1.mod": SWEEP,
            "osc2.freq": FREQ_HZ,
            "osc2.mod": SWEEP,
            "freq_env.decay": DECAY_MS,
            "osc1_env.decay": DECAY_MS,
            "osc2_env.decay": DECAY_MS,
            "noise_env.decay": DECAY_MS,
            "noise_filter.freq": Range(20.0, sample_rate // 2),
            "noise_filter.q": Range(0.5, 10.0),
            "osc1_gain.gain": GAIN_DB,
            "osc2_gain.gain": GAIN_DB,
            "noise_gain.gain": GAIN_DB,
            "tanh.in_gain": DRIVE_DB,
        }
        super().__init__(ranges, sample_rate, noise_samples)
        self.clamp, self.noise_env_post_filter = clamp, noise_env_post_filter

    def render(self, knobs: Knobs, noise: Float[Tensor, "#batch samples"]) -> Audio:
        def both(name: str) -> Float[Tensor, "batch 2"]:
            return torch.stack([knobs[name.format(osc)] for osc in ("osc1", "osc2")], dim=1)

        return drum_voice(
            both("{}.freq"),
            both("{}.mod"),
            knobs["freq_env.decay"],
            both("{}_env.decay"),
            db_to_gain(both("{}_gain.gain")),
            noise,
            knobs["noise_env.decay"],
            db_to_gain(knobs["noise_gain.gain"]),
            db_to_gain(knobs["tanh.in_gain"]),
            highpass_coefficients(knobs["noise_filter.freq"], knobs["noise_filter.q"], self.sample_rate),
            sample_rate=self.sample_rate,
            clamp=self.clamp,
            decay_after_filter=self.noise_env_post_filter,
        )
