import math

import pytest
import torch

from drumblender.callbacks import draw_pairs
from drumblender.callbacks.sounds import Pair

RATE = 16000


def sine(freq_hz, num_samples=8000):
    return torch.sin(2 * math.pi * freq_hz * torch.arange(num_samples) / RATE)


def test_each_pair_is_a_column_and_the_scale_is_the_targets():
    figure = draw_pairs([Pair(sine(440), 0.1 * sine(440)), Pair(sine(880), sine(880))], RATE, ["a", "b"])
    meshes = [axes.collections[0] for axes in figure.axes[2:4] + figure.axes[6:8]]
    assert len(figure.axes) == 8
    assert meshes[0].get_clim() == meshes[2].get_clim()
    assert meshes[0].get_array().max() - meshes[2].get_array().max() == pytest.approx(20, abs=0.01)


def test_the_loudest_row_is_the_pitch():
    mesh = draw_pairs([Pair(sine(1000), sine(1000))], RATE).axes[1].collections[0]
    row = mesh.get_array().mean(axis=1).argmax()
    edges = mesh.get_coordinates()[:, 0, 1]
    assert edges[row] < 1000 < edges[row + 1]


@pytest.mark.parametrize("num_samples", [1, 5, 700, 48000])
def test_sounds_of_any_length_and_silence_can_be_drawn(num_samples, tmp_path):
    silence = torch.zeros(num_samples)
    draw_pairs([Pair(silence, silence)], RATE).savefig(tmp_path / "silence.png")
    assert (tmp_path / "silence.png").stat().st_size > 1000


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        draw_pairs([], RATE)
