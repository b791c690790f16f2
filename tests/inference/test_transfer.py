import math

import numpy as np
import pytest
import soundfile
import torch
from made_up_voice import GUITAR, player, voice

from drumblender.features import NoteCurves, note_curves
from drumblender.features.integrated_loudness import IntegratedLoudness
from drumblender.inference.transfer import TransferStream, curves_of, render, transfer_file
from drumblender.inference.transfer_curves import Instrument, Transfer, adapt, median_midi, octaves
from drumblender.open_sound import BadAudioError
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth


@pytest.mark.parametrize("kind", ["gru", "transformer", "table", "stiff"])
@pytest.mark.parametrize("frames", [1, 3, 64])
def test_blocks_of_any_size_sound_like_the_whole(kind, frames):
    curves, made = voice(), player(kind)
    whole = torch.cat(list(render(made, curves, 160)))
    stream = TransferStream(made)
    parts = [
        stream.push({name: curve[start : start + frames] for name, curve in curves.items()})
        for start in range(0, 301, frames)
    ]
    assert torch.allclose(torch.cat([*parts, stream.finish()]), whole, atol=3e-5)
    assert len(whole) == 300 * 160


def test_the_stream_plays_what_the_modules_play():
    curves, made = voice(), player()
    stream = TransferStream(made, seed=5)
    streamed = torch.cat([stream.push(curves), stream.finish()])
    controls = made({name: curve[None] for name, curve in curves.items()})
    harmonics = HarmonicSynth(20, f0_upsampling="hop", amp_upsampling="hop")(controls, 48000)[0]
    controls["magnitude"] = torch.zeros_like(controls["magnitude"])
    assert FilteredNoiseSynth(17)(controls, 48000).abs().max() == 0
    noise_free = streamed - harmonics
    assert noise_free.square().mean() < 0.5 * harmonics.square().mean()  # what differs is the noise
    level = streamed[8000:20000].square().mean().sqrt()
    assert 20 * math.log10(level) == pytest.approx(-25, abs=0.5)


@pytest.mark.parametrize("kind", ["gru", "transformer", "tone", "table", "kernel", "stiff", "alone"])
def test_nothing_sounds_where_nothing_is_to(kind):
    curves = voice()
    curves["loudness_db"][50:100] = -80
    sound = torch.cat(list(render(player(kind), curves, 160)))
    assert not sound[: 15 * 160].any() and not sound[54 * 160 : 95 * 160].any()  # half an FFT from the ends
    assert sound[104 * 160 : 120 * 160].any()


def test_goes_to_the_octave_of_the_instrument_and_transposes():
    for midi, shift in ((54, 0), (64, -1), (74, -2), (38, 1)):
        assert octaves(voice(midi=midi), Transfer(), GUITAR) == shift
    assert octaves(voice(midi=64), Transfer(transpose=12), GUITAR) == -1  # which is then transposed
    moved = adapt(voice(), Transfer(transpose=2, octave=-1), GUITAR, 0.01)
    assert median_midi(moved) - median_midi(voice()) == pytest.approx(-10, abs=1e-3)


def test_loudness_gets_the_quantiles_of_the_training():
    curves = voice()
    curves["loudness_db"] = torch.linspace(-55, -30, 301)
    played = adapt(curves, Transfer(unvoiced_below=0), GUITAR, 0.01)["loudness_db"]
    assert played[[0, 150, 300]].tolist() == pytest.approx([-50, -30, -10], abs=0.5)
    kept = adapt(curves, Transfer(loudness="keep", gain_db=3, unvoiced_below=0), GUITAR, 0.01)["loudness_db"]
    assert torch.allclose(kept, curves["loudness_db"] + 3, atol=1e-4)


def test_the_unvoiced_is_silent_with_fades():
    played = adapt(voice(), Transfer(loudness="keep"), None, 0.01)["loudness_db"]
    assert (played[140:150] == -80).all() and played[130] == -25
    assert -80 < played[139] < -25
    assert adapt(voice(), Transfer(loudness="keep", unvoiced_below=0), None, 0.01)["loudness_db"][145] == -25


def test_vibrato_glide_and_plucks():
    def pitch(**options):
        return 12 * torch.log2(
            adapt(voice(), Transfer(loudness="keep", **options), None, 0.01)["f0_hz"] / 440
        )

    assert pitch(vibrato=0.0)[40:130].std() < 0.01 < 0.15 < pitch()[40:130].std()
    assert pitch(glide_s=0.3)[160] < pitch()[160] - 0.5
    plucked = adapt(voice(), Transfer(loudness="keep", pluck=True, unvoiced_below=0), None, 0.01)[
        "loudness_db"
    ]
    assert plucked[22] - plucked[122] == pytest.approx(30, abs=0.5)


def test_options_that_make_no_sense_are_refused(unchecked):
    for wrong in ({"vibrato": -1.0}, {"normalize": "rms"}, {"transpose": math.nan}, {"octave": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Transfer(**wrong)
    for wrong, told in (
        ({"glide_s": -1.0}, "^glide_s goes from 0 to 10 s, got -1.$"),
        ({"gain_db": 200.0}, "^gain_db goes from -40 to 40 dB, got 200.$"),
        ({"octave": 9}, "^octave goes from -4 to 4 octaves, got 9.$"),
    ):
        with pytest.raises(ValueError, match=told):
            Transfer(**wrong)
    with pytest.raises(ValueError, match="quantiles"):
        Instrument(50.0, (0.0,))


def test_brightness_gets_the_quantiles_of_the_training():
    sung = voice() | {"brightness_hz": torch.linspace(500, 4000, 301)}
    known = Instrument(52.0, GUITAR.loudness_db, tuple(torch.linspace(300, 900, 101).tolist()))
    played = adapt(sung, Transfer(), known, 0.01)["brightness_hz"]
    assert played[20:].min() >= 299 and played.max() <= 901 and (played.diff() >= 0).all()
    kept = adapt(sung, Transfer(loudness="keep"), known, 0.01)["brightness_hz"]
    assert torch.equal(kept, sung["brightness_hz"])


@pytest.fixture
def flat_pitch(monkeypatch):
    """No tracker: 220 Hz everywhere, so that only the frame counts matter."""

    def made_up(audio, sample_rate, hop_length, name):
        shape = len(audio), audio.shape[-1] // hop_length + 1
        return torch.full(shape, 220.0), torch.ones(shape)

    monkeypatch.setattr(note_curves, "pitch_of", made_up)


@pytest.mark.parametrize(
    "rate, channels, seconds", [(44100, 2, 3.3), (8000, 1, 1.0), (16000, 1, 45.5), (48000, 1, 0.0001)]
)
def test_files_keep_their_rate_and_length(tmp_path, flat_pitch, rate, channels, seconds):
    size = max(1, int(rate * seconds))
    time_s = np.arange(size)[:, None] / rate
    sound = 0.2 * np.sin(2 * np.pi * 220 * time_s) * np.ones(channels) * (1 + np.sin(2 * np.pi * time_s)) / 2
    soundfile.write(tmp_path / "voice.wav", sound, rate)
    told = transfer_file(
        player(), tmp_path / "voice.wav", tmp_path / "guitar.wav", Transfer(), NoteCurves(), GUITAR
    )
    played, played_rate = soundfile.read(tmp_path / "guitar.wav")
    assert played_rate == rate and played.shape == (size,)
    assert np.isfinite(played).all() and told.seconds == pytest.approx(size / rate)
    if seconds > 0.5 and rate >= 16000:  # a lower rate loses some of the peak
        assert np.abs(played).max() == pytest.approx(0.95, abs=0.06)


def test_curves_do_not_depend_on_the_blocks_they_were_read_in(tmp_path, flat_pitch):
    generator = np.random.default_rng(0)
    sound = generator.normal(size=16000 * 43) * np.linspace(0, 0.2, 16000 * 43)
    soundfile.write(tmp_path / "long.wav", sound, 16000, subtype="FLOAT")
    curves = curves_of(tmp_path / "long.wav", NoteCurves())
    whole = NoteCurves()(torch.from_numpy(sound).float()[None])
    assert len(curves["loudness_db"]) == whole["loudness_db"].shape[1]
    assert torch.allclose(curves["loudness_db"][:-1], whole["loudness_db"][0, :-1], atol=1e-3)


@pytest.mark.parametrize("seconds", [0.3, 6.0])
def test_a_file_gets_the_loudness_of_broadcasts(tmp_path, flat_pitch, seconds):
    time_s = np.arange(int(16000 * seconds)) / 16000
    sound = 0.3 * np.sin(2 * np.pi * 220 * time_s) * np.where(time_s % 2 < 1.2, 1, 0.05)
    soundfile.write(tmp_path / "voice.wav", sound, 16000)
    options = Transfer(normalize="lufs", unvoiced_below=0)
    transfer_file(player(), tmp_path / "voice.wav", tmp_path / "guitar.wav", options, NoteCurves(), GUITAR)
    played, rate = soundfile.read(tmp_path / "guitar.wav", dtype="float32")
    meter = IntegratedLoudness(rate)
    meter.push(torch.from_numpy(played))
    assert meter.lufs() == pytest.approx(-23, abs=0.1)


def test_silence_stays_silent_and_no_audio_is_one_clear_line(tmp_path, flat_pitch):
    soundfile.write(tmp_path / "voice.wav", np.zeros(16000), 16000)
    transfer_file(player(), tmp_path / "voice.wav", tmp_path / "guitar.wav", Transfer(), NoteCurves(), GUITAR)
    assert np.abs(soundfile.read(tmp_path / "guitar.wav")[0]).max() < 2e-3
    (tmp_path / "none.wav").write_text("no sound")
    with pytest.raises(BadAudioError, match="none.wav"):
        transfer_file(player(), tmp_path / "none.wav", tmp_path / "x.wav", Transfer(), NoteCurves())
    assert not (tmp_path / "x.wav").exists()


def test_direct_current_is_no_sound(tmp_path):
    sung = 0.2 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000) * np.linspace(0, 1, 16000)
    for name, sound in (("voice", sung), ("lifted", sung + 0.3), ("constant", np.full(16000, 0.5))):
        soundfile.write(tmp_path / f"{name}.wav", sound, 16000, subtype="FLOAT")
    measure = NoteCurves(tracker="pyin")  # which hears pitches in a constant
    plain, lifted = (curves_of(tmp_path / f"{name}.wav", measure) for name in ("voice", "lifted"))
    for name, curve in plain.items():
        assert torch.allclose(lifted[name][10:], curve[10:], rtol=1e-2), name
    assert curves_of(tmp_path / "constant.wav", measure)["periodicity"].max() == 0
    source, target = tmp_path / "constant.wav", tmp_path / "guitar.wav"
    assert transfer_file(player(), source, target, Transfer(), measure, GUITAR).peak < 1e-3


def test_a_truncated_recording_is_refused_as_everywhere(tmp_path, flat_pitch):
    path = tmp_path / "voice.wav"
    soundfile.write(path, 0.2 * np.sin(np.arange(32000) / 6), 16000)
    path.write_bytes(path.read_bytes()[:32044])
    with pytest.raises(BadAudioError, match="voice.wav: is truncated: it holds 16000 samples"):
        transfer_file(player(), path, tmp_path / "guitar.wav", Transfer(), NoteCurves(), GUITAR)
    assert not (tmp_path / "guitar.wav").exists()
