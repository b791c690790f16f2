import pytest
import torch

from drumblender.synths import FilteredNoiseSynth, HarmonicSynth
from drumblender.synths.harmonic_stream import HarmonicStream, NoiseStream

FRAMES = 81


def controls(generator):
    f0_hz = 200 + 150 * torch.rand(1, FRAMES, 1, generator=generator)
    return {
        "f0_hz": f0_hz,
        "amp": torch.rand(1, FRAMES, 60, generator=generator) / 60,
        "magnitude": torch.rand(1, FRAMES, 33, generator=generator),
    }


@pytest.mark.parametrize("block", [1, 5, FRAMES])
def test_harmonics_in_blocks_are_those_of_the_whole(generator, block):
    given = controls(generator)
    synth = HarmonicSynth(60, f0_upsampling="hop", amp_upsampling="hop")
    whole = synth(given, (FRAMES - 1) * 160)[0]
    stream = HarmonicStream()
    parts = [
        stream.push(given["f0_hz"][0, start : start + block, 0], given["amp"][0, start : start + block])
        for start in range(0, FRAMES, block)
    ]
    assert torch.allclose(torch.cat(parts), whole, atol=2e-5)


@pytest.mark.parametrize("block", [1, 5, FRAMES])
def test_noise_in_blocks_is_that_of_the_whole(generator, block):
    given = controls(generator)
    noise = torch.randn(1, (FRAMES - 1) * 160 + 1024, generator=generator)
    whole = FilteredNoiseSynth(33)(given, (FRAMES - 1) * 160, noise=noise)[0]
    stream = NoiseStream(noise=noise[0])
    parts = [stream.push(given["magnitude"][0, start : start + block]) for start in range(0, FRAMES, block)]
    assert torch.allclose(torch.cat([*parts, stream.finish()]), whole, atol=2e-5)


def test_its_own_noise_does_not_depend_on_the_blocks():
    flat = torch.ones(300, 9)
    one, many = NoiseStream(seed=3), NoiseStream(seed=3)
    whole = torch.cat([one.push(flat), one.finish()])
    parts = [many.push(part) for part in flat.split(7)]
    assert torch.allclose(torch.cat([*parts, many.finish()]), whole, atol=1e-5)
    assert whole.square().mean().sqrt().item() == pytest.approx(1, abs=0.03)
    other = NoiseStream(seed=4)
    assert not torch.allclose(other.push(flat)[:1000], whole[:1000])


def test_noise_is_laid_out_ahead_without_changing():
    one, many, whole = (NoiseStream(hop_length=50, n_fft=64, seed=2) for _ in range(3))
    frames = torch.cat([one.frames(1) for _ in range(250)])
    assert torch.equal(frames, torch.cat([many.frames(3), many.frames(240), many.frames(7)]))
    first = whole.draw(249 * 50 + 32)
    assert torch.equal(frames, torch.cat([first[1:33].flip(0), first]).unfold(0, 64, 50))
