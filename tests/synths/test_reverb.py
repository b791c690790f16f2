import pytest
import torch

from drumblender.synths import Room


def test_an_untrained_room_is_none_and_learns(generator):
    room, mix = Room(length_s=0.05), torch.randn(2, 3000, generator=generator)
    wet = room({}, 3000, source=mix)
    assert torch.equal(wet, mix)
    (grad,) = torch.autograd.grad((wet * mix.roll(100, dims=1)).sum(), room.taps)
    assert grad.argmax() == 99  # the reflection that makes the mix sound 100 samples later


def test_a_reflection_comes_late_and_the_room_can_be_left_out():
    room, click = Room(length_s=0.05), torch.zeros(1, 1000)
    click[0, 10] = 1
    with torch.no_grad():
        room.taps[49] = 0.5
    wet = room({}, 1000, source=click)
    assert wet[0, 10] == 1
    assert wet[0, 60].item() == pytest.approx(0.5 * 1000 ** (-50 / 16000 / 0.3), abs=1e-5)
    assert wet.abs().sum() < 1.6
    room.on = False
    assert torch.equal(room({}, 1000, source=click), click)


def test_a_room_cannot_come_first():
    with pytest.raises(ValueError, match="cannot come first"):
        Room()({}, 100)
    with pytest.raises(ValueError, match=r"length_s=0\.0"):
        Room(length_s=0.0)
