import pytest
import torch

from drumblender.synths import StretchedSynth
from drumblender.synths.stretched_stream import StretchedStream

FRAMES = 81


@pytest.mark.parametrize("block", [1, 5, FRAMES])
def test_partials_in_blocks_are_those_of_the_whole(generator, block):
    f0_hz = 200 + 150 * torch.rand(FRAMES, generator=generator)
    stiffness = 2e-4 * torch.rand(FRAMES, generator=generator)
    amp = torch.rand(FRAMES, 60, generator=generator) / 60
    given = {"f0_hz": f0_hz[None, :, None], "stiffness": stiffness[None, :, None], "amp": amp[None]}
    whole = StretchedSynth(60)(given, (FRAMES - 1) * 160)[0]
    stream = StretchedStream()
    tracks = zip(f0_hz.split(block), stiffness.split(block), amp.split(block), strict=True)
    parts = [stream.push(*track) for track in tracks]
    assert torch.allclose(torch.cat(parts), whole, atol=2e-4)  # single precision in a phase of 5000 turns
