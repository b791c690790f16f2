import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.features import StringDecay
from drumblender.synths import StringSynth

RATE, SAMPLES = 16000, 32000


def plucked(gain, side=0.02):
    """A string that rings by itself with this gain a period."""
    synth = StringSynth(excitation="source", loop_gain=Range(0.9, 1.0), onset_s=(0.0,), kernel="auto")
    share = (gain - 0.9) / 0.1
    frames = torch.ones(1, 16, 1)
    controls = {
        "f0_hz": torch.full((1, 16, 1), 220.0),
        "loop_gain": share * frames,
        "loop_taps": torch.tensor([side, 1 - 2 * side, side]) * frames,
        "excitation_taps": torch.full((1, 25, 5), 0.5),
        "excitation_gain": torch.full((1, 25, 1), 0.01),
    }
    burst = torch.zeros(1, SAMPLES)
    burst[:, :200] = torch.randn(200, generator=torch.Generator().manual_seed(0))
    return synth(controls, SAMPLES, source=burst)


@pytest.mark.parametrize("gain", [0.97, 0.99])
def test_the_gain_of_a_string_is_read_off_its_fading(gain):
    batch = {"audio": plucked(gain), "f0_hz": torch.full((1, 125), 220.0)}
    found = StringDecay().forward(batch).controls
    measured = 0.9 + 0.1 * found["loop_gain"][0, 2:8, 0]
    assert measured.mean().item() == pytest.approx(gain, abs=0.006)


def test_a_darker_loop_has_larger_outer_taps():
    dull, bright = (
        StringDecay().forward({"audio": plucked(0.99, side), "f0_hz": torch.full((1, 125), 220.0)})
        for side in (0.1, 0.01)
    )
    assert dull.controls["loop_taps"][0, 0, 0] > 1.2 * bright.controls["loop_taps"][0, 0, 0]


def test_silence_has_controls_inside_their_range():
    found = StringDecay()({"audio": torch.zeros(2, SAMPLES), "f0_hz": torch.full((2, 125), 220.0)})
    assert found.features.shape == (2, 16, 32)
    for value in found.controls.values():
        assert value.isfinite().all() and value.min() > 0 and value.max() < 1


def test_gains_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="low_gain=1"):
        StringDecay(low_gain=1.0, high_gain=0.9)


def test_a_string_between_two_delays_is_given_the_gain_that_its_interpolation_takes():
    """At 1230 Hz a period is 33.3 samples of 41 kHz: a third of a sample costs about 40 dB a second."""
    seconds = torch.arange(SAMPLES) / RATE
    tone = (10 ** (-60 * seconds / 20) * torch.sin(2 * torch.pi * 1230 * seconds))[None]
    found = StringDecay()({"audio": tone, "f0_hz": torch.full((1, 125), 1230.0)}).controls
    synth = StringSynth(loop_gain=Range(0.9, 1.0), onset_s=(0.0,))
    played = synth(found | {"f0_hz": torch.full((1, 1, 1), 1230.0)}, SAMPLES, tone)
    parts = [
        sound[0, 8000:24000].unfold(0, 8000, 8000).square().mean(dim=1).log10() for sound in (played, tone)
    ]
    fell, wanted = (20 * (part[0] - part[1]) for part in parts)  # dB a second
    assert fell.item() == pytest.approx(wanted.item(), abs=8)


def test_an_attack_is_no_sign_of_a_string_that_never_fades():
    """The level rises for 40 ms, and falls from then on: so does the string, from its first frame on."""
    seconds = torch.arange(SAMPLES) / RATE
    attack = (seconds / 0.04).clamp(max=1.0)
    tone = (attack * 10 ** (-30 * seconds / 20) * torch.sin(2 * torch.pi * 220 * seconds))[None]
    found = StringDecay(rounds=0)({"audio": tone, "f0_hz": torch.full((1, 125), 220.0)}).controls
    gains = 0.9 + 0.1 * found["loop_gain"][0, :4, 0]
    torch.testing.assert_close(gains, torch.full((4,), 10 ** (-30 / 220 / 20)), atol=2e-3, rtol=0)


def test_playing_the_string_corrects_what_the_level_alone_tells():
    """A fading that changes halfway, and a pitch whose delay costs level: heard, and undone."""
    seconds = torch.arange(SAMPLES) / RATE
    level_db = -40 * seconds.clamp(max=0.8) - 10 * (seconds - 0.8).clamp(min=0)
    tone = 10 ** (level_db / 20) * sum(torch.sin(2 * torch.pi * 740 * k * seconds) / k for k in (1, 2, 3, 4))
    batch = {"audio": tone[None], "f0_hz": torch.full((1, 125), 740.0)}
    synth = StringSynth(loop_gain=Range(0.9, 1.0), onset_s=(0.0,))

    def far_db(rounds):
        controls = StringDecay(rounds=rounds, onset_s=(0.0,))(batch).controls
        played = synth(controls | {"f0_hz": torch.full((1, 1, 1), 740.0)}, SAMPLES, tone[None])
        levels = [
            10 * sound[:, 1600:].unfold(1, 1600, 1600).square().mean(dim=2).log10()
            for sound in (played, tone[None])
        ]
        return (levels[0] - levels[1]).abs().mean().item()

    read, corrected = far_db(0), far_db(3)
    assert corrected < 0.7 * read
    assert corrected < 1.2


@pytest.mark.parametrize("wrong", [{"rounds": -1}, {"onset_s": ()}, {"excitation_s": 0.0}])
def test_rounds_and_windows_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StringDecay(**wrong)


def test_frames_without_a_pitch_take_that_of_the_note():
    pitch_hz = torch.full((1, 125), 220.0)
    whole = StringDecay()({"audio": plucked(0.99), "f0_hz": pitch_hz}).controls
    pitch_hz[:, ::7], pitch_hz[:, 1::9] = 0.0, float("nan")
    holed = StringDecay()({"audio": plucked(0.99), "f0_hz": pitch_hz}).controls
    torch.testing.assert_close(holed["loop_gain"], whole["loop_gain"], atol=0.05, rtol=0)


@pytest.mark.parametrize("pitch_hz", [0.0, float("nan"), float("inf"), 30000.0, 5.0])
def test_a_note_of_no_pitch_has_controls_inside_their_range(pitch_hz):
    found = StringDecay()({"audio": plucked(0.99), "f0_hz": torch.full((1, 125), pitch_hz)}).controls
    for value in found.values():
        assert value.isfinite().all() and value.min() > 0 and value.max() < 1


def test_what_is_no_note_is_told():
    pitch_hz = torch.full((1, 1), 220.0)
    with pytest.raises(ValueError, match="100 samples are too few"):
        StringDecay()({"audio": torch.zeros(1, 100), "f0_hz": pitch_hz})
    with pytest.raises(ValueError, match="NaN"):
        StringDecay()({"audio": torch.full((1, 16000), float("nan")), "f0_hz": pitch_hz})
