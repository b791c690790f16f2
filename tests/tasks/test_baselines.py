import pytest
import torch
from torch import nn

from drumblender.controllers import FreeControls, GivenControls
from drumblender.synths import ModalSynth, StftNoiseSynth
from drumblender.tasks import DrumTask, Voice
from drumblender.tasks.exchange import exchanged, mean_of_others, of_another
from drumblender.tasks.measures import measured, own_length
from drumblender.types import ComparesBaselines

RATE, SAMPLES = 8000, 6000


def batch(generator):
    frames = SAMPLES // 64 + 1
    return {
        "audio": 0.1 * torch.randn(3, SAMPLES, generator=generator),
        "freq_rad": 0.1 + torch.rand(3, frames, 2, generator=generator),
        "amp": 0.2 * torch.rand(3, frames, 2, generator=generator),
        "phase_rad": torch.zeros(3, frames, 2),
    }


def drum():
    noise = StftNoiseSynth(RATE, num_bands=8, n_fft=128, hop_length=32)
    synth = ModalSynth(num_modes=2)
    controls = FreeControls(num_frames=2, init="constant", scale=-30.0, bounded=False)
    voices = {"modal": Voice(synth, GivenControls()), "noise": Voice(noise, controls)}
    controls.hold({"level_db": 8})
    return DrumTask(voices, nn.MSELoss(), RATE).eval()


def test_the_untrained_model_stays_what_it_was(generator):
    task, item = drum(), batch(generator)
    with task.repeatable(0):
        before = task(item).detach()
    with torch.no_grad():
        task.voices["noise"].controls.params["level_db"] += 20
    with task.repeatable(0):
        after = task(item)
    with task.repeatable(0):
        untrained = task.untrained(item)
    assert torch.equal(untrained, before) and not torch.allclose(after, before, atol=1e-3)


def test_baselines_need_no_training_and_are_as_long_as_the_batch(generator):
    found = drum().baselines(batch(generator))
    assert set(found) == {
        "silence",
        "coloured noise",
        "untrained",
        "mean controls",
        "controls of another",
        "modal stem",
    }
    assert all(sound.shape == (3, SAMPLES) and not sound.requires_grad for sound in found.values())
    assert not found["silence"].any()


def test_one_item_has_no_others(generator):
    single = {name: value[:1] for name, value in batch(generator).items()}
    assert "mean controls" not in drum().baselines(single)


def test_only_what_was_made_is_exchanged():
    made = torch.tensor([[[1.0]], [[3.0]], [[8.0]]])
    item = {"audio": torch.zeros(3, 4), "f0_hz": torch.tensor([[[1.0]], [[2.0]], [[3.0]]])}
    controls = {"string": {"f0_hz": item["f0_hz"], "gain": made, "held": made[:1]}}
    mean = exchanged(controls, item, mean_of_others)["string"]
    assert torch.equal(mean["f0_hz"], item["f0_hz"]) and torch.equal(mean["held"], made[:1])
    assert mean["gain"].flatten().tolist() == [5.5, 4.5, 2.0]
    assert exchanged(controls, item, of_another)["string"]["gain"].flatten().tolist() == [8, 1, 3]


def test_a_model_that_is_the_target_measures_nothing(generator):
    sound = torch.randn(2, SAMPLES, generator=generator)
    for values in measured(sound, sound, RATE).values():
        assert values.tolist() == pytest.approx([0, 0], abs=1e-5)


def test_zeros_that_fill_a_target_up_change_no_figure(generator):
    pair = [torch.randn(1, 5000, generator=generator) for _ in range(2)]
    longer = [nn.functional.pad(sound, (0, 3000)) for sound in pair]
    assert own_length(longer[1][0]) == 5000
    short, filled = (measured(*sounds, RATE) for sounds in (pair, longer))
    assert {name: value.item() for name, value in short.items()} == pytest.approx(
        {name: value.item() for name, value in filled.items()}
    )


def test_the_figures_of_the_model_repeat(generator):
    task, item = drum(), batch(generator)
    assert isinstance(task, ComparesBaselines)
    first, again = (task.compare(item, 1) for _ in range(2))
    assert next(iter(first)) == "model"
    for kind, figures in first.items():
        for name, values in figures.items():
            assert torch.equal(values, again[kind][name])
