import pytest
import torch

from drumblender.metrics import AttackTimeDifference, LevelDifference


def test_level_has_a_sign_that_means_do_not_hide(generator):
    sound = torch.randn(2, 1000, generator=generator)
    louder = sound * torch.tensor([[2.0], [0.5]])
    signed, absolute = LevelDifference(), LevelDifference(absolute=True)
    assert signed.per_item(louder, sound).tolist() == pytest.approx([6.02, -6.02], abs=0.01)
    for metric, mean in ((signed, 0), (absolute, 6.02)):
        metric.update(louder, sound)
        assert metric.compute().item() == pytest.approx(mean, abs=0.01)


def test_silence_is_120_db_down(generator):
    sound = torch.ones(1, 1000)
    assert LevelDifference().per_item(torch.zeros(1, 1000), sound).item() == pytest.approx(-120)


@pytest.mark.parametrize("late", [0, 48, 480])
def test_a_later_attack_shows_in_milliseconds(late, generator):
    sound = torch.zeros(1, 9600)
    sound[:, 1000:3000] = torch.randn(1, 2000, generator=generator)
    moved = sound.roll(late, dims=-1)
    assert AttackTimeDifference(48000).per_item(moved, sound).item() == pytest.approx(late / 48, abs=1e-3)
    assert AttackTimeDifference(48000).per_item(sound, moved).item() == pytest.approx(late / 48, abs=1e-3)


def test_a_slow_attack_is_late(generator):
    noise = torch.randn(1, 48000, generator=generator)
    rise = torch.linspace(0, 1, 4800).clamp(max=1)
    slow = noise.clone()
    slow[:, :4800] *= rise
    assert AttackTimeDifference(48000).per_item(slow, noise) > 30


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="share=0"):
        AttackTimeDifference(48000, share=0)
