import math

import pytest
import torch

from drumblender.dsp.mdct import inverse_mdct, mdct


def definition(sound: torch.Tensor, size: int) -> torch.Tensor:
    """Princen and Bradley's sum, frame by frame, in float64."""
    padded = [0.0] * size + sound.tolist() + [0.0] * (2 * size)
    frames = range(-(-len(sound) // size) + 1)

    def number(frame: int, wave: int) -> float:
        return math.sqrt(2 / size) * math.fsum(
            math.sin(math.pi * (n + 0.5) / (2 * size))
            * padded[frame * size + n]
            * math.cos(math.pi / size * (n + 0.5 + size / 2) * (wave + 0.5))
            for n in range(2 * size)
        )

    return torch.tensor([[number(frame, wave) for wave in range(size)] for frame in frames])


@pytest.mark.parametrize("num_samples", [1, 7, 8, 29, 64])
def test_it_is_the_definition_and_is_undone(num_samples, generator):
    sound = torch.randn(2, num_samples, dtype=torch.float64, generator=generator)
    found = mdct(sound, 8)
    assert torch.allclose(found[1].float(), definition(sound[1], 8), atol=1e-6)
    assert torch.allclose(inverse_mdct(found, num_samples), sound, atol=1e-12)
    assert found.square().sum() == pytest.approx(sound.square().sum().item())


def test_after_its_frames_there_is_silence_and_before_their_end_it_is_cut(generator):
    found = mdct(torch.randn(1, 64, generator=generator), 8)
    long, short = inverse_mdct(found, 100), inverse_mdct(found, 30)
    assert long[:, 64:].abs().max() < 1e-6 and torch.equal(long[:, :30], short)


@pytest.mark.parametrize("call", [lambda: mdct(torch.zeros(1, 9), 0), lambda: mdct(torch.zeros(1, 0), 8)])
def test_sizes_start_at_one(call):
    with pytest.raises(ValueError, match="above 0"):
        call()


def test_no_samples_are_not_played():
    with pytest.raises(ValueError, match="at least 1 sample"):
        inverse_mdct(torch.zeros(1, 3, 8), 0)
