import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.nets.exp_sigmoid import exp_sigmoid
from drumblender.nets.pitch_cnn import soft_argmax
from drumblender.synths.harmonic import HarmonicSynth


def assert_published(case, synth, f0_hz, amp, names):
    """Within the tolerance of the published float32 numbers or of the same in float64."""
    f0_hz, amp = f0_hz.clone().requires_grad_(), amp.clone().requires_grad_()
    f0_name, amp_name = names
    held = f0_hz if f0_hz.ndim == 3 else f0_hz[..., None]
    num_samples = case["out_audio"].shape[1]
    audio = synth({"f0_hz": held, "amp": amp}, num_samples)
    audio.backward(case["cot_audio"])
    case.check("out_audio", audio)
    case.check(f"grad_{f0_name}", f0_hz.grad)
    case.check(f"grad_{amp_name}", amp.grad)


@pytest.mark.parametrize("name", ["01", "02_f0_2d", "03_nyquist_101"])
def test_published_guitar_numbers(golden, name):
    case = golden("guitar", f"harmonic_synth_{name}")
    init = case.config["init"]
    synth = HarmonicSynth(init["n_harmonics"], init["sample_rate"])
    names = ("f0", "harmonic_amplitudes")
    assert_published(case, synth, case["in_f0"], case["in_harmonic_amplitudes"], names)


@pytest.mark.parametrize(
    "name", ["01_paper_harmonic", "02_paper_roll_off", "05_angular_cumsum", "06_nyquist_sweep"]
)
def test_published_pitch_numbers(golden, name):
    case = golden("pitch", f"synth_{name}")
    synth = HarmonicSynth(
        case["in_amplitudes"].shape[2],
        case.config["init"]["sample_rate"],
        f0_upsampling="center",
        amp_upsampling="windows",
        fade=True,
        **case.parameters,
    )
    names = ("frequencies", "amplitudes")
    assert_published(case, synth, case["in_frequencies"], case["in_amplitudes"], names)


def partials(freq_hz, amp, num_samples, amp_upsampling):
    """Of frequencies of their own: a harmonic synth of one harmonic for each."""
    synth = HarmonicSynth(1, 16000, f0_upsampling="center", amp_upsampling=amp_upsampling, fade=True)
    pairs = zip(freq_hz.split(1, dim=2), amp.split(1, dim=2), strict=True)
    return sum(synth({"f0_hz": one, "amp": level}, num_samples) for one, level in pairs)


def test_published_partials_that_are_no_harmonics(golden):
    case = golden("pitch", "synth_03_inharmonic_linear")
    freq_hz, amp = (case[f"in_{name}"].requires_grad_() for name in ("frequencies", "amplitudes"))
    audio = partials(freq_hz, amp, 1000, "center")
    audio.backward(case["cot_audio"])
    case.check("out_audio", audio)
    case.check("grad_frequencies", freq_hz.grad)
    case.check("grad_amplitudes", amp.grad)


def test_published_partials_of_a_network(golden):
    """An exponential sigmoid makes their amplitudes, a softmax over 64 bins their frequencies."""
    case = golden("pitch", "synth_04_scaled_inputs")
    logits, levels = (case[f"in_{name}"].requires_grad_() for name in ("frequencies", "amplitudes"))
    place, _ = soft_argmax(logits.unflatten(-1, (-1, 64)))
    freq_hz, amp = Range(20, 8000, log=True).denormalize(place), exp_sigmoid(levels)
    case.check("out_ctl_frequencies", freq_hz)
    case.check("out_ctl_amplitudes", amp)
    audio = partials(freq_hz, amp, 640, "windows")
    audio.backward(case["cot_audio"])
    case.check("out_audio", audio)
    case.check("grad_frequencies", logits.grad)
    case.check("grad_amplitudes", levels.grad)


def test_ranges_turn_controls_into_hertz_and_decibels():
    ranged = HarmonicSynth(2, 8000, f0_hz=Range(100, 400, log=True), level_db=Range(-40, 0))
    controls = {"f0": torch.tensor([[[0.5]]]), "level": torch.tensor([[[1.0, 0.5]]])}
    units = ranged.to_units(controls)
    assert units["f0_hz"].item() == pytest.approx(200)
    assert units["level_db"].flatten().tolist() == pytest.approx([0, -20])
    plain = HarmonicSynth(2, 8000)
    same = {"f0_hz": units["f0_hz"], "amp": torch.tensor([[[1.0, 0.1]]])}
    assert torch.allclose(ranged(controls, 500), plain(same, 500), atol=1e-6)
    assert plain.to_units(same) == same


def test_controls_have_frames_of_their_own(generator):
    synth = HarmonicSynth(3, 8000)
    amp = torch.rand(2, 20, 3, generator=generator)
    held = synth({"f0_hz": torch.full((2, 1, 1), 300.0), "amp": amp}, 400)
    assert torch.equal(held, synth({"f0_hz": torch.full((2, 5, 1), 300.0), "amp": amp}, 400))


@pytest.mark.parametrize("controls", [{}, {"f0_hz": torch.ones(1, 1, 1), "amp": torch.ones(1, 4, 2)}])
def test_controls_that_do_not_fit_are_refused(controls):
    with pytest.raises(ValueError, match="needs shape"):
        HarmonicSynth(3, 8000)(controls, 100)


def test_a_bank_without_harmonics_is_refused():
    with pytest.raises(ValueError, match="num_harmonics=0"):
        HarmonicSynth(0)
