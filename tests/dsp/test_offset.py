import math

import pytest
import torch

from drumblender.dsp.offset import remove_offset


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
