import math

import pytest
import torch

from drumblender.dsp.offset import offset_of, remove_offset


@pytest.mark.parametrize("offset", [0.01, -0.2])
def test_an_offset_is_removed_and_leaves_the_sound(offset):
    time = torch.arange(24000) / 48000
    hit = torch.cat([torch.zeros(9600), 0.6 * torch.exp(-20 * time) * torch.sin(2 * math.pi * 60 * time)])
    assert (remove_offset(hit + offset, 48000) - hit).abs().max() < 1e-6


@pytest.mark.parametrize("freq_hz", [25, 60, 1000])
def test_a_sound_without_offset_is_left_as_it_is(freq_hz):
    time = torch.arange(48000) / 48000
    tone = 0.5 * torch.sin(2 * math.pi * freq_hz * time)
    assert torch.equal(remove_offset(tone, 48000), tone)
    late = torch.cat([torch.zeros(4800), tone.abs()])  # far from symmetric, but silent before
    assert torch.equal(remove_offset(late, 48000), late)


@pytest.mark.parametrize("size", [1, 100, 4800, 5000, 48000])
def test_the_offset_of_blocks_is_that_of_the_whole(generator, size):
    sound = 0.3 + torch.randn(12000, generator=generator) * torch.linspace(0.2, 0, 12000)
    assert offset_of(sound.split(size), 48000) == offset_of([sound], 48000) == pytest.approx(0.3, abs=2e-3)
