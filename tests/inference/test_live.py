"""Timbre transfer live: what blocks give is what the whole gives, and what its exported forms give."""

import json
import math

import numpy as np
import pytest
import torch
from made_up_voice import GUITAR, player, voice
from scipy.signal import lfilter

from drumblender.checkpoints import load_checkpoint
from drumblender.cli import run
from drumblender.dsp.frame_filter import filter_frame, real_filter_frame
from drumblender.features import NoteCurves
from drumblender.features.curve_stream import CurveStream
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.inference.frame_export import export_step, load_step
from drumblender.inference.frame_step import FrameStep
from drumblender.inference.live import LiveTransfer, open_live
from drumblender.inference.live_curves import Live
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.stepped_stream import SteppedStream
from drumblender.inference.transfer import render
from drumblender.inference.transfer_curves import Instrument, Transfer, adapt
from drumblender.synths import Room

BLOCKS = (64, 256, 1000, 4096)


def song(seconds=2.0):
    """A voice of four harmonics, vibrato and two notes, a breath of noise between them."""
    time_s = torch.arange(int(16000 * seconds)) / 16000
    pitch = torch.where(time_s < 1, 220.0, 330.0) * (1 + 0.01 * torch.sin(35 * time_s))
    turns = (pitch / 16000).cumsum(0)
    tone = sum(torch.sin(2 * torch.pi * k * turns) / k for k in range(1, 5))
    breath = 0.02 * torch.randn(len(time_s), generator=torch.Generator().manual_seed(0))
    loud = (0.2 + 0.1 * torch.sin(5 * time_s)) * ((time_s > 0.1) & ((time_s - 1).abs() > 0.08))
    return loud * tone + breath


def steady(sound):
    """Without what lies below 5 Hz, which is an offset and no sound."""
    return torch.from_numpy(lfilter([1, -1], [1, -math.exp(-10 * math.pi / 16000)], sound.double())).float()


def in_blocks(live, sound, size):
    live.reset()
    return torch.cat([live.process(block) for block in sound.split(size)])


@pytest.mark.parametrize("kind", ["gru", "table", "stiff"])
def test_blocks_of_any_size_are_the_offline_rendering(kind):
    made, measure = player(kind), NoteCurves(tracker="yin")
    known = Instrument.of({name: curve[0] for name, curve in measure(song()[None]).items()})
    live = LiveTransfer(made, measure, Live(transpose=-5, voice=known, glide_s=0.05), GUITAR)
    sound = torch.nn.functional.pad(song(), (0, live.latency_samples))
    whole = in_blocks(live, sound, len(sound))
    for size in BLOCKS:
        assert torch.allclose(in_blocks(live, sound, size), whole, atol=5e-5), size
    heard = steady(sound)
    offline = {name: curve[0] for name, curve in measure(heard[None]).items()}
    first = int((offline["periodicity"] >= measure.hold_below).float().argmax())
    offline["f0_hz"][:first] = CurveStream(measure).push(heard)["f0_hz"][:first]  # not known yet
    shift = Transfer(transpose=-5, octave=live._adapter._shift // 12 + 1, glide_s=0.05, unvoiced_below=0.8)
    played = torch.cat(list(render(made, adapt(offline, shift, GUITAR, 0.01), 160)))
    delayed = whole[live.latency_samples :]
    assert delayed.abs().max() > 0.01 and not whole[: live.latency_samples].any()
    assert torch.allclose(delayed[:30000], played[:30000], atol=2e-3)


def test_curves_of_a_stream_are_those_of_the_whole_once_a_pitch_is_sure():
    measure, sound = NoteCurves(tracker="yin"), song()
    whole = {name: curve[0] for name, curve in measure(sound[None]).items()}
    stream = CurveStream(measure)
    parts = [stream.push(block) for block in sound.split(100)]
    curves = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    first, count = int((whole["periodicity"] >= 0.8).float().argmax()), len(curves["f0_hz"])
    assert count == (len(sound) - stream.reach_samples) // 160 + 1
    for name, curve in curves.items():
        assert torch.allclose(curve[first:], whole[name][first:count], rtol=1e-4, atol=1e-3), name
    assert stream.push(torch.tensor([torch.nan, torch.inf]))["f0_hz"].isfinite().all()


def test_a_stream_refuses_what_it_cannot_hear(unchecked):
    with pytest.raises(ValueError, match="weighting='none'"):
        CurveStream(NoteCurves(loudness=FrameLoudness(weighting="a"), tracker="yin"))
    with pytest.raises(ValueError, match="16000 Hz, the curves at 8000"):
        CurveStream(NoteCurves(8000, 80, tracker="yin"))
    with pytest.raises(ValueError, match="even number"):
        CurveStream(NoteCurves(tracker="yin"), yin_frame=256)
    with pytest.raises(ValueError, match="mono"):
        CurveStream(NoteCurves(tracker="yin")).push(torch.zeros(2, 10))
    for name, value in {"unvoiced_below": 2.0, "gain_db": 500.0, "transpose": 1e3, "octave": 100}.items():
        with pytest.raises(ValueError, match=f"{name} goes from"):
            Live(**{name: value})
    with pytest.raises(ValueError, match="octave is a whole number"):
        Live(octave="auto")
    with pytest.raises(ValueError, match="ControlTransformer"):
        FrameStep(player("transformer"))


def test_numpy_gives_numpy_and_what_is_far_too_loud_does_not_stay():
    heard, live = song(), LiveTransfer(player(), NoteCurves(tracker="yin"))
    played = in_blocks(live, heard, 256)
    live.reset()
    assert np.allclose(live.process(heard.numpy()), played.numpy(), atol=1e-5)
    assert live.process(np.full(1600, 1e20)).shape == (1600,)
    assert np.isfinite([live.process(heard.numpy()) for _ in range(2)]).all()


def test_an_offset_is_not_played():
    live = LiveTransfer(player(), NoteCurves(tracker="yin"))
    late = live.latency_samples + 8000  # what the offset's own step leaves is over
    levels = [
        in_blocks(live, sound, 256)[late:].unfold(0, 1600, 1600).square().mean(dim=1).sqrt()
        for sound in (song(), song() + 0.3, torch.full((32000,), 0.5))
    ]
    assert torch.allclose(levels[1], levels[0], rtol=0.05, atol=4e-3) and levels[0].max() > 0.1
    assert levels[2].max() < 1e-3


def test_the_room_goes_with_it():
    made, measure, room = player(), NoteCurves(tracker="yin"), Room(length_s=0.05)
    torch.nn.init.normal_(room.taps, std=0.02, generator=torch.Generator().manual_seed(0))
    sound = song(1.0)
    wet, dry = (LiveTransfer(made, measure, room=each) for each in (room, None))
    heard = in_blocks(wet, sound, 300)
    assert torch.allclose(heard, in_blocks(wet, sound, 16000), atol=1e-5)
    assert not torch.allclose(heard, in_blocks(dry, sound, 300), atol=1e-3)


@pytest.mark.parametrize("form", ["pt", "onnx"])
@pytest.mark.parametrize("kind", ["gru", "tone", "alone", "table", "kernel", "stiff"])
def test_what_leaves_python_plays_the_same(tmp_path, kind, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    made, curves, path = player(kind), voice(), tmp_path / f"guitar.{form}"
    assert export_step(FrameStep(made), path, {"sample_rate": 16000}) < 1e-4
    whole = torch.cat(list(render(made, curves, 160, seed=3)))
    stream = SteppedStream(*load_step(made, path), seed=3)
    sizes = [1, 0, 2, 1, 40, 7]  # most frames of a call are fewer than 40
    sizes.append(len(curves["f0_hz"]) - sum(sizes))
    blocks = zip(*(curve.split(sizes) for curve in curves.values()), strict=True)
    parts = [stream.push(dict(zip(curves, block, strict=True))) for block in blocks]
    assert torch.allclose(torch.cat([*parts, stream.finish()]), whole, atol=1e-4)


def test_a_frame_filtered_by_matrices_is_that_of_the_fft(generator):
    frame, gain = torch.randn(3, 512, generator=generator), torch.rand(3, 257, generator=generator)
    assert torch.allclose(real_filter_frame(frame, gain), filter_frame(frame, gain), atol=1e-5)
    with pytest.raises(ValueError, match="n_fft=6"):
        real_filter_frame(torch.zeros(6), torch.zeros(4))


def test_the_verb_exports_the_model_that_ships(tmp_path, capsys):
    assert run(["export", "checkpoints/guitar", str(tmp_path / "guitar.pt")]) == 0
    extra = {"metadata": ""}
    torch.jit.load(tmp_path / "guitar.pt", _extra_files=extra)
    told = json.loads(extra["metadata"])
    hears = load_checkpoint(find_checkpoint("guitar")).task.player.encoder.hears
    assert told["curves"] == list(hears) and told["tracker"] == "pesto"
    assert run(["export", "checkpoints/guitar", str(tmp_path / "x.onnx"), "--any-size"]) == 1
    assert "--any-size are for mappers" in capsys.readouterr().err


def test_the_model_that_ships_is_played_live():
    live = open_live("checkpoints/guitar", Live(octave=-1))
    played = in_blocks(live, song(1.0), 256)
    assert played.shape == (16000,) and 0.001 < played.abs().max() < 1
    with pytest.raises(ValueError, match="not played live"):
        open_live("checkpoints/quickstart")


@pytest.mark.parametrize("stepped", [False, True])
def test_what_is_played_may_be_written_to_and_trained_on(stepped):
    made = player()
    engine = (lambda: SteppedStream(FrameStep(made))) if stepped else None
    live = LiveTransfer(made, NoteCurves(tracker="yin"), engine=engine)
    played = torch.cat([live.process(block) for block in song(1.0).split(1000)])
    played *= 0.5
    gain = torch.ones(1, requires_grad=True)
    (gain * live.process(song(0.1))).square().sum().backward()
    assert not played.is_inference() and gain.grad.isfinite().all()


def test_a_pitch_that_is_no_number_stops_nobody():
    stream = SteppedStream(FrameStep(player("gru")))
    for hz in (220.0, float("nan"), 0.0, 220.0):
        found = stream.push({"f0_hz": torch.full((2,), hz), "loudness_db": torch.full((2,), -20.0)})
    assert len(found) == 320
