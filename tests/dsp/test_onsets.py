"""Onsets in recordings and streams, and frames cut at them."""

import numpy as np
import pytest
from golden_parts import plugin_settings

from drumblender.dsp.onsets import (
    PLUGIN_SETTINGS,
    OnsetDetector,
    OnsetSettings,
    cut_hits,
    detect_onsets,
    follow_envelope,
    high_pass,
)

RATE = 44100


def noise_hits(starts, size=RATE, seed=0):
    """Bursts of noise that fade in 30 ms."""
    rng = np.random.default_rng(seed)
    audio = np.zeros(size)
    for start in starts:
        length = size - start
        audio[start:] += rng.uniform(-0.5, 0.5, length) * 0.99 ** (np.arange(length) / 20)
    return audio


def int16(numbers, key="in_x_int16"):
    return (numbers[key].numpy() / 32768).astype(np.float32)


@pytest.mark.parametrize("case", ["default", "settings"])
def test_onsets_are_the_published_ones(golden, case):
    numbers = golden("remap", "onset_detection")
    names = {"on_thresh": "on_db", "wait": "wait_samples"}
    said = dict(numbers.config["cases"][case])
    rate = said.pop("sr")
    settings = OnsetSettings(**{names[key]: value for key, value in said.items()})
    onsets, signal = OnsetDetector(rate, settings).process_with_signal(int16(numbers))
    numbers.check(f"out_onsets_{case}", onsets)
    numbers.check(f"out_signal_{case}", signal[::8])


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_frames_are_the_published_ones(golden, case):
    numbers = golden("remap", "onset_frames")
    choice = dict(numbers.config["cases"][case])
    names = {"on_thresh": "on_db", "wait": "wait_samples"}
    settings = OnsetSettings(**{new: choice.pop(old) for old, new in names.items()})
    audio = int16(numbers)
    frames = cut_hits(audio, detect_onsets(audio, choice.pop("sr"), settings), **choice)
    numbers.check(f"out_{case}", frames)


def test_filter_and_follower_are_the_published_ones(golden):
    numbers = golden("remap", "onset_high_pass")
    audio = numbers["in_x_int16"].numpy() / 32768
    for case, choice in numbers.config["cases"].items():
        said = numbers.parameters | choice
        y = high_pass(audio, said["sr"], said["cutoff"], said["q"])
        numbers.check(f"out_{case}_f64", y.reshape(1, -1))
    numbers = golden("remap", "onset_envelope_follower")
    for case, choice in numbers.config["cases"].items():
        y = follow_envelope(
            numbers["in_x_f64"][0].numpy(),
            choice["attack_samples"],
            choice["release_samples"],
            choice.get("call", {}).get("initial", 0.0),
        )
        numbers.check(f"out_{case}_f64", y[None])


def test_plugin_detector_fires_where_the_plugin_does(golden):
    numbers = golden("remap", "plugin_controller")
    assert plugin_settings(numbers) == PLUGIN_SETTINGS
    detector = OnsetDetector(numbers.config["sample_rate"], PLUGIN_SETTINGS)
    onsets, signal = detector.process_with_signal(int16(numbers))
    numbers.check("out_detections", onsets)
    numbers.check("out_signal_every8", signal[::8])


def test_hits_are_found_where_they_begin():
    starts = [3000, 14000, 27001]
    onsets = detect_onsets(noise_hits(starts), RATE)
    assert len(onsets) == len(starts)
    assert all(0 <= onset - start < 32 for onset, start in zip(onsets, starts, strict=True))


@pytest.mark.parametrize("block", [1, 7, 64, 441, 44100])
def test_any_block_size_gives_the_same_onsets(block):
    audio = noise_hits([500, 9000, 21000, 30000])
    detector = OnsetDetector(RATE)
    found = [onset for i in range(0, len(audio), block) for onset in detector.process(audio[i : i + block])]
    assert found == detect_onsets(audio, RATE)
    assert len(found) == 4
    detector.reset()
    assert detector.process(audio) == found


def test_times_in_seconds_scale_with_the_sample_rate():
    settings = OnsetSettings(wait_samples=4410).at(88200)
    assert settings.wait_samples == 8820
    assert settings.slow_samples == (4410.0, 4410.0)


def test_silence_has_no_onsets_and_no_frames():
    silence = np.zeros(RATE)
    assert detect_onsets(silence, RATE) == []
    assert cut_hits(silence, [], 100).shape == (0, 100)


def test_a_frame_fades_out_before_the_next_hit_and_leaves_the_recording_alone():
    audio = np.ones(100)
    frames = cut_hits(audio, [0, 40], 50, overlap_buffer=10)
    assert (frames[0, :20] == 1).all() and (frames[0, 30:] == 0).all()
    assert (np.diff(frames[0, 20:30]) < 0).all()
    assert (frames[1] == 1).all() and (audio == 1).all()


def test_hits_closer_than_the_fade_and_the_end_give_short_frames():
    frames = cut_hits(np.ones(60), [0, 5, 55], 20, overlap_buffer=10)
    assert (frames[0] == 0).all()
    assert frames[2].tolist() == [1.0] * 5 + [0.0] * 15


@pytest.mark.parametrize("audio", [np.zeros((2, 100)), np.array([0.0, np.nan])])
def test_stereo_and_broken_sound_are_refused(audio):
    with pytest.raises(ValueError, match="mono|NaN"):
        detect_onsets(audio, RATE)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="off_db"):
        OnsetSettings(on_db=1, off_db=2)
    with pytest.raises(ValueError, match="cutoff_hz=600"):
        OnsetDetector(1000)
