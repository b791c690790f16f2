import pytest
import torch

from drumblender.controllers.heads import LinearHead
from drumblender.dsp.units import Range
from drumblender.synths import DampedModalSynth, MixSynth, NoiseSynth
from drumblender.synths.base import Synth


class Echo(Synth):
    """Repeats what it hears, louder."""

    needs_source = True

    def __init__(self):
        super().__init__()
        self.control_sizes = {"gain": 1}

    def forward(self, controls, num_samples, source=None):
        return controls["gain"][:, 0] * source


@pytest.fixture
def drum():
    modal = DampedModalSynth(2, sample_rate=8000, freq_hz=Range(50, 3000), t60_s=Range(0.1, 1.0))
    return MixSynth({"modal": modal, "noise": NoiseSynth(num_bands=5, win_length=64, seed=0)})


def test_controls_carry_the_name_of_their_synth(drum):
    assert drum.control_sizes == {"modal_freq": 2, "modal_t60": 2, "modal_amp": 2, "noise_magnitude": 5}
    assert drum.control_frames == {"modal_freq": 1, "modal_t60": 1, "modal_amp": 1}


def test_a_mix_is_the_sum_of_its_synths(drum, generator):
    controls = {
        name: torch.rand(3, 1, size, generator=generator) for name, size in drum.control_sizes.items()
    }
    parts = {"modal": {}, "noise": {}}
    for name, value in controls.items():
        synth, control = name.split("_", 1)
        parts[synth][control] = value
    expected = sum(drum.synths[name](part, 500) for name, part in parts.items())
    assert torch.equal(drum(controls, 500), expected)


def test_units_are_those_of_the_synths(drum):
    units = drum.to_units({name: torch.ones(1, 1, size) for name, size in drum.control_sizes.items()})
    assert set(units) == {"modal_freq_hz", "modal_t60_s", "modal_amp", "noise_magnitude"}
    assert (units["modal_freq_hz"] == 3000).all()


def test_a_head_plays_the_mix(drum, generator):
    head = LinearHead()
    head.build(4, drum.control_sizes, drum.control_frames)
    audio = drum(head(torch.randn(2, 10, 4, generator=generator)), 400)
    audio.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())


def test_a_mix_hears_when_a_part_does(drum):
    mix = MixSynth({"drum": drum, "echo": Echo()})
    assert mix.needs_source and not drum.needs_source
    controls = {name: torch.zeros(1, 1, size) for name, size in mix.control_sizes.items()}
    controls["echo_gain"] += 2
    source = torch.linspace(-1, 1, 100)[None]
    assert torch.allclose(mix(controls, 100, source), 2 * source)


def test_two_controls_of_one_name_are_refused():
    class Odd(Echo):
        def __init__(self):
            super().__init__()
            self.control_sizes = {"b_gain": 1}

    with pytest.raises(ValueError, match="a_b_gain"):
        MixSynth({"a_b": Echo(), "a": Odd()})
    with pytest.raises(ValueError, match="at least one"):
        MixSynth({})
