import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from drumblender.dsp.units import cents_between
from drumblender.features import CQTModalAnalysis, NoModesError

RATE, HOP = 16_000, 128
SMALL = {"sample_rate": RATE, "hop_length": HOP, "fmin": 60.0, "n_bins": 72, "num_modes": 2}


def analysis(**changes) -> CQTModalAnalysis:
    return CQTModalAnalysis(**SMALL | {"threshold": -60.0, "diff_threshold": 5.0} | changes)


def decaying(freq_hz, t60_s=0.6, amp=0.5, phase=0.0, num_samples=2 * RATE) -> torch.Tensor:
    """One mode, ``(1, samples)``."""
    time_s = torch.arange(num_samples, dtype=torch.float64) / RATE
    return (amp * 1000 ** (-time_s / t60_s) * torch.sin(2 * math.pi * freq_hz * time_s + phase)).float()[None]


def drum(generator, num_samples=RATE) -> torch.Tensor:
    stroke = torch.randn(1, num_samples, generator=generator) * 0.1
    stroke *= 1000 ** (-torch.arange(num_samples) / (0.1 * RATE))
    return decaying(180, num_samples=num_samples) + decaying(433, 0.4, num_samples=num_samples) + stroke


# largest error of the transform, of amplitudes and of frequencies (a share), and the share of phases to match
GOLDENS = ("modes", "leading_silence", "noisy_all_modes", "batch", "snare", "published_modes")


@pytest.mark.parametrize("name", GOLDENS)
def test_matches_the_published_system(golden, name):
    given = golden("drums", f"CQTModalAnalysis_{name}")
    analyse = CQTModalAnalysis(**given.config["init"])
    audio = given["in_audio"] if "in_audio" in given else audio_by_formula(given.config)

    frames = torch.view_as_real(analyse.spectrogram(audio)[..., given["in_cqt_frame_index"]])
    given.check("out_cqt_frames", frames)
    freqs, amps, phases = analyse(audio)
    sounding = given["out_amps"] > 0
    assert torch.equal(amps > 0, sounding)
    given.check("out_amps", amps)
    given.check("out_freqs", freqs[sounding], at=sounding)
    given.check("out_freqs", freqs[~sounding], at=~sounding, within="carried_hz")
    turned = torch.remainder(phases - given["out_phases"] + math.pi, 2 * math.pi) - math.pi
    close = turned[sounding].abs() < given.number("out_phases")
    assert close.float().mean() >= given.number("sounding_phases")


def audio_by_formula(config: dict) -> torch.Tensor:
    rate, lead = config["init"]["sample_rate"], config["lead_samples"]
    time_s = torch.arange(config["num_samples"] - lead, dtype=torch.float64) / rate
    modes = zip(*(config[f"mode_{key}"] for key in ("freq_hz", "amp", "tau_s", "phase")), strict=True)
    audio = sum(
        a * torch.exp(-time_s / tau) * torch.sin(2 * math.pi * f * time_s + p) for f, a, tau, p in modes
    )
    return torch.cat([torch.zeros(lead), audio.float()])[None]


def test_silence_of_the_published_system_raises(golden):
    given = golden("drums", "CQTModalAnalysis_silence_raises")
    with pytest.raises(NoModesError):
        CQTModalAnalysis(**given.config["init"])(given["in_audio"])


def test_two_decaying_sines_give_two_modes_with_their_pitch_and_decay():
    audio = decaying(203.0, t60_s=0.8, amp=0.3) + decaying(911.0, t60_s=0.5, amp=0.6)
    freqs, amps, _ = analysis(first_frame="split", min_length=20, num_modes=None)(audio)
    assert freqs.shape == (1, 2, 251) and freqs.dtype == amps.dtype == torch.float32
    for freq, amp in zip(freqs[0], amps[0], strict=True):
        wanted_hz, t60_s = (203.0, 0.8) if freq[20] < 500 else (911.0, 0.5)
        ringing = slice(25, 55)  # from 0.2 s, when the windows have left the onset, to 0.44 s
        assert cents_between(freq[ringing], torch.tensor(wanted_hz)).abs().max() < 1
        fall_db = 20 * torch.log10(amp[25] / amp[55])
        assert 60 / fall_db * 30 * HOP / RATE == pytest.approx(t60_s, rel=0.02)


def test_modes_come_loudest_first():
    audio = decaying(200, amp=0.1) + decaying(700, amp=0.4) + decaying(2500, amp=0.2)
    freqs, amps, _ = analysis(num_modes=3)(audio)
    assert freqs[0, :, 20].tolist() == pytest.approx([700, 2500, 200], rel=0.01)
    assert torch.equal(analysis(num_modes=1)(audio)[1], amps[:, :1])


def test_a_sound_gives_the_same_modes_in_any_batch(generator):
    sounds = torch.cat([drum(generator) for _ in range(3)])
    whole = analysis()(sounds)
    for item in range(3):
        for part, alone in zip(whole, analysis()(sounds[item : item + 1]), strict=True):
            assert torch.equal(part[item : item + 1], alone)


def test_threads_find_the_same_modes(generator):
    analyse, sounds = analysis(hop_length=96), [drum(generator) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(analyse, sounds))
    for sound, modes in zip(sounds, found, strict=True):
        assert all(torch.equal(part, alone) for part, alone in zip(modes, analyse(sound), strict=True))


def test_sounds_with_different_numbers_of_modes_do_not_fit_in_one_batch():
    sounds = torch.cat([decaying(200), decaying(200) + decaying(900)])
    with pytest.raises(RuntimeError, match=r"\[1, 2\] modes"):
        analysis(num_modes=None, first_frame="split", min_length=30)(sounds)


def test_silence_holds_no_modes():
    with pytest.raises(NoModesError, match="silent"):
        analysis()(torch.zeros(1, RATE))
    with pytest.raises(NoModesError, match="at least 300 frames"):
        analysis(min_length=300)(decaying(200))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_samples_are_refused(bad):
    audio = decaying(200)
    audio[0, 100] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        analysis()(audio)


def test_a_short_sound_is_refused_or_followed_by_silence():
    analyse = analysis()
    audio = decaying(400, t60_s=0.1, num_samples=analyse.min_samples - 500)
    with pytest.raises(ValueError, match=f"at least {analyse.min_samples} samples"):
        analyse(audio)
    padded = analysis(short="pad")
    freqs, amps, _ = padded(audio)
    assert freqs.shape[-1] == padded.num_frames(audio.shape[-1])
    assert freqs[0, 0, 5:10].tolist() == pytest.approx([400] * 5, rel=0.005)
    longer = torch.nn.functional.pad(audio, (0, 500))  # the same, by hand
    assert torch.equal(padded.spectrogram(audio), analyse.spectrogram(longer)[..., : freqs.shape[-1]])


def test_too_many_bins_are_refused():
    with pytest.raises(ValueError, match="Nyquist"):
        analysis(n_bins=100)
    with pytest.raises(ValueError, match="num_modes=0"):
        analysis(num_modes=0)


def test_leading_silence_moves_the_onset_unless_empty_frames_are_kept():
    lead = 40 * HOP
    audio = torch.nn.functional.pad(decaying(800, num_samples=RATE), (lead, 0))
    _, published, _ = analysis(num_modes=1)(audio)
    _, aligned, _ = analysis(num_modes=1, skip_empty_frames=False)(audio)
    moved = aligned[0, 0].argmax() - published[0, 0].argmax()
    assert moved > 20
    assert abs(int(aligned[0, 0].argmax()) - 40) <= 8  # half a window
    assert not aligned[0, 0, :25].any()


def test_after_its_end_a_mode_reads_fmin_or_holds_its_frequency():
    audio = decaying(800, t60_s=0.3)
    freqs, amps, _ = analysis(num_modes=1, first_frame="split")(audio)
    ended = amps[0, 0].nonzero().max() + 1
    assert ended < 200 and torch.all(freqs[0, 0, ended:] == 60)
    held, same_amps, _ = analysis(num_modes=1, first_frame="split", hold_last_frequency=True)(audio)
    assert torch.all(held[0, 0, ended:] == freqs[0, 0, ended - 1])
    assert torch.equal(same_amps, amps) and torch.equal(held[..., :ended], freqs[..., :ended])


def test_the_phase_is_a_cosines_or_a_sines():
    audio = decaying(480.0, t60_s=4.0, phase=1.0)  # a bin's centre
    options = {"num_modes": 1, "match_phases": True, "first_frame": "split"}
    frame = torch.arange(60, 180)
    sine = 2 * math.pi * 480 * frame * HOP / RATE + 1.0
    for reference, turn in (("sine", 0.0), ("cosine", -math.pi / 2)):
        phase = analysis(phase_reference=reference, **options)(audio)[2][0, 0]
        assert phase.min() >= -math.pi and phase.max() <= math.pi
        off = torch.remainder(phase[frame] - sine - turn + math.pi, 2 * math.pi) - math.pi
        assert off.abs().median() < 0.01


def test_reflection_hides_the_phase_at_the_start_and_zeros_do_not():
    options = {"num_modes": 1, "match_phases": True, "first_frame": "split", "phase_reference": "sine"}
    audio = decaying(480.0, t60_s=2.0, phase=0.5)
    mirrored = analysis(**options)(audio)[2][0, 0, 0].item()
    assert abs(mirrored - 0.5) > 0.5
    assert analysis(pad_mode="constant", **options)(audio)[2][0, 0, 0].item() == pytest.approx(0.5, abs=0.1)


def test_distance_in_hertz_parts_high_modes_that_bins_join():
    # 3 semitones apart near bin 60: 5 % of the bin, but 19 % of the frequency
    audio = torch.cat([decaying(freq_hz, 0.3, num_samples=RATE // 2) for freq_hz in (1920.0, 2283.0)], dim=-1)
    options = {"num_modes": None, "first_frame": "split", "min_length": 8, "skip_empty_frames": False}
    joined, _, _ = analysis(**options)(audio)
    parted, amps, _ = analysis(diff_unit="hz", **options)(audio)
    assert joined[0, 0, [30, 90]].tolist() == pytest.approx([1920, 2283], rel=0.005)
    assert parted[0, 0, [30, 90]].tolist() == pytest.approx([2283, 2283], rel=0.005)
    assert amps[0, 0, 30] == 0 and amps[0, 0, 90] > 0


def test_the_transform_passes_gradients_to_the_audio(generator):
    audio = drum(generator).requires_grad_()
    analysis().spectrogram(audio).abs().square().sum().backward()
    assert audio.grad.isfinite().all() and audio.grad.abs().max() > 0
