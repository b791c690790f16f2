"""Synths that leave Python sound as they do in it."""

import pytest
import torch
from exported import FORMS, run_exported
from references import reference
from torch import nn

from drumblender import synths
from drumblender.dsp.units import Range
from drumblender.synths import (
    BandEqualiser,
    DampedModalSynth,
    FilteredNoiseSynth,
    FMDrumSynth,
    HarmonicSynth,
    LappedTransient,
    MixSynth,
    ModalSynth,
    NoiseSynth,
    Room,
    SimpleDrumSynth,
    Snare808,
    StftNoiseSynth,
    StretchedSynth,
    StringSynth,
    Synth,
    TransientTCN,
)

RATE, SAMPLES = 44100, 1500


def modes():
    return DampedModalSynth(5, RATE, Range(40, 8000), Range(0.05, 1))


def string(excitation):
    return StringSynth(internal_rate=20000, onset_s=(0.0, 0.05), excitation=excitation)


def room():
    made = Room(16000, length_s=0.02)
    nn.init.normal_(made.taps, std=0.1)
    return made


SYNTHS = {
    "Snare808": lambda: Snare808(RATE, noise_samples=SAMPLES),
    "Snare808 as the plug-in": lambda: Snare808(
        RATE, noise_samples=SAMPLES, clamp=False, noise_env_post_filter=True
    ),
    "SimpleDrumSynth": lambda: SimpleDrumSynth(RATE, noise_samples=SAMPLES),
    "FMDrumSynth": lambda: FMDrumSynth(RATE, noise_samples=SAMPLES),
    "ModalSynth": lambda: ModalSynth(5),
    "ModalSynth hop": lambda: ModalSynth(5, align="hop", with_phase=False),
    "DampedModalSynth": modes,
    "HarmonicSynth": lambda: HarmonicSynth(20, 16000),
    "HarmonicSynth fade": lambda: HarmonicSynth(60, 16000, fade=True, amp_upsampling="windows"),
    "StringSynth resynthesis": lambda: string("resynthesis"),
    "StringSynth source": lambda: string("source"),
    "StringSynth burst": lambda: string("burst"),
    "NoiseSynth": lambda: NoiseSynth(17, 128),
    "NoiseSynth seeded": lambda: NoiseSynth(17, 128, seed=3),
    "TransientTCN": lambda: TransientTCN(
        hidden_channels=4, num_layers=3, film_conditioning=True, film_embedding_size=4
    ),
    "FilteredNoiseSynth": lambda: FilteredNoiseSynth(17, 128, 256),
    "StretchedSynth": lambda: StretchedSynth(5, 16000),
    "StftNoiseSynth": lambda: StftNoiseSynth(16000, 17, 256, 64),
    "StftNoiseSynth seeded": lambda: StftNoiseSynth(16000, 17, 256, 64, seed=3),
    "BandEqualiser": lambda: BandEqualiser(16000, 17, 256, 64),
    "LappedTransient": lambda: LappedTransient(16),
    "Room": lambda: room(),
    "MixSynth": lambda: MixSynth({"modal": modes(), "noise": NoiseSynth(17, 128, seed=3)}),
}

# Frequencies computed from controls are rounded otherwise by each kind of CPU: 6e-8 of up to 1200 rad. Both
# sides lie as far from float64.
LARGEST_DIFFERENCE = {"StretchedSynth": 1e-4}


class Played(nn.Module):
    """A synth whose controls come one by one, as exporters want them."""

    def __init__(self, synth, names):
        super().__init__()
        self.synth, self.names = synth, names

    def forward(self, *values):
        controls = dict(zip(self.names, values, strict=True))
        extras = {name: controls.pop(name) for name in ("source", "noise") if name in controls}
        return self.synth(controls, SAMPLES, **extras)


def draw_controls(synth, generator):
    def unit(*shape):
        return torch.rand(*shape, generator=generator)

    controls = {
        name: 0.1 + 0.8 * unit(2, synth.control_frames.get(name, 9), size)
        for name, size in synth.control_sizes.items()
    }
    if "f0_hz" in controls:
        controls["f0_hz"] = 100 + 300 * unit(2, 9, 1)
    if "stiffness" in controls:
        controls["stiffness"] = 1e-4 * controls["stiffness"]
    controls = {name: 12 * value if name.endswith("_db") else value for name, value in controls.items()}
    if isinstance(synth, FilteredNoiseSynth):
        controls["noise"] = 2 * unit(2, SAMPLES + 2 * synth.n_fft) - 1
    if isinstance(synth, StftNoiseSynth) and synth.seed is None:
        controls["noise"] = 2 * unit(2, SAMPLES) - 1
    if synth.needs_source:
        controls["source"] = unit(2, SAMPLES) - 0.5
    if isinstance(synth, NoiseSynth) and synth.seed is None:
        controls["magnitude"] = unit(2, 23, 17)
        controls["noise"] = 2 * unit(2, 23, 128) - 1
    return controls


def test_no_synth_is_left_out():
    public = [getattr(synths, name) for name in synths.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Synth)} - {Synth}
    assert kinds == {type(make()) for make in SYNTHS.values()}


@pytest.mark.usefixtures("unchecked")  # to a tracer a size is a tensor
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SYNTHS)
def test_equals_eager_on_other_controls_than_it_was_exported_with(name, form, generator):
    reference("onnxruntime")
    torch.manual_seed(0)
    synth = SYNTHS[name]().eval()
    example, other = (draw_controls(synth, generator) for _ in range(2))
    module = Played(synth, tuple(example))
    with torch.no_grad():
        expected = module(*other.values())
        assert (module(*example.values()) - expected).abs().max() > 1e-2
    found = run_exported(form, module, tuple(example.values()), tuple(other.values()))
    assert (found - expected).abs().max() < LARGEST_DIFFERENCE.get(name, 1e-5)


@pytest.mark.usefixtures("unchecked")
def test_a_logarithmic_range_is_rounded_otherwise_by_onnxruntime(generator):
    """Its exp differs in the last place: 0.0005 Hz at 8 kHz, a phase of 0.0001 rad after 1500 samples."""
    reference("onnxruntime")
    synth = DampedModalSynth(5, RATE, Range(40, 8000, log=True), Range(0.05, 1))
    example, other = (draw_controls(synth, generator) for _ in range(2))
    module = Played(synth, tuple(example))
    found = run_exported("onnx", module, tuple(example.values()), tuple(other.values()))
    assert (found - module(*other.values())).abs().max() < 5e-4
