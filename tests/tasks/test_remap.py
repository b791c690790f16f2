"""Remapping: published numbers, and what it says about parts that do not fit."""

import json

import lightning as L
import pytest
import torch
from golden_parts import build_remap_task, check_features, original_names
from torch.utils.data import DataLoader

from drumblender.controllers import LinearMapping, MappedControls, MLPMapping
from drumblender.dsp.units import Range
from drumblender.features import RMS, CascadingFrameExtractor, FeatureCollection, SpectralCentroid
from drumblender.synths import DampedModalSynth, SimpleDrumSynth, Snare808, StringSynth
from drumblender.tasks import RemapTask

RATE = 8000


@pytest.mark.parametrize("name", ["task_linear_mini", "task_linear_published", "task_mlp_mini_norm"])
def test_sound_loss_gradients_and_metrics_are_the_published_ones(golden, tmp_path, name):
    numbers = golden("remap", name)
    task = build_remap_task(numbers.config["init"], tmp_path / "preset.json")
    state = {key.removeprefix("state_"): value for key, value in numbers.items() if key.startswith("state_")}
    task.load_state_dict(original_names(state))
    onset, target = numbers["in_x"], numbers["in_target"]
    weight = numbers.get("in_norm", torch.ones(7)).expand_as(target)

    audio = task({"onset": onset, "difference": target, "weight": weight})
    every, key = (32, "out_audio_every32") if "out_audio_every32" in numbers else (1, "out_audio")
    rows, samples = numbers[key].shape
    numbers.check(key, audio[:rows, ::every][:, :samples])
    features = task.features(audio)
    check_features(numbers, "out_features", features)
    loss = task.loss(features, task.reference, target, weight)
    numbers.check("out_loss", loss)
    loss.backward()
    for key, value in task.mapping.mapper.named_parameters():
        numbers.check(f"grad_model.{key}", value.grad)
    errors = (features - task.reference - target).abs().mean(dim=0)
    numbers.check("out_metrics", errors)
    assert task.labels == numbers.config["metric_labels"]


@pytest.mark.parametrize("baseline", ["unchanged", "original"])
def test_a_test_run_logs_each_feature_and_its_preset(golden, tmp_path, baseline):
    numbers = golden("remap", "task_linear_mini")
    task = build_remap_task(numbers.config["init"], tmp_path / "preset.json")
    task.preset_baseline = baseline
    state = {key.removeprefix("state_"): value for key, value in numbers.items() if key.startswith("state_")}
    task.load_state_dict(original_names(state))
    target = numbers["in_target"]
    rows = [
        {"onset": onset, "difference": difference, "weight": torch.ones(7)}
        for onset, difference in zip(numbers["in_x"], target, strict=True)
    ]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(accelerator="cpu", **quiet)
    (results,) = trainer.test(task, DataLoader(rows, batch_size=2), verbose=False)
    numbers.check("out_loss", results["test/loss"])
    numbers["out_unchanged"] = target.abs().mean(dim=0)
    preset = "out_pre_metrics_original" if baseline == "original" else "out_unchanged"
    for i, label in enumerate(task.labels):
        numbers.check("out_metrics", results[f"test/{label}"], at=i)
        numbers.check(preset, results[f"test/preset_{label}"], at=i)


def mini_features():
    parts = [RMS(db=True), SpectralCentroid(RATE)]
    return FeatureCollection([CascadingFrameExtractor(parts, [2, 6], frame_size=256, hop_length=128)])


def playable(folder):
    """A synth of each kind, the preset file that it starts from (None: drawn), and its parameters to move."""
    modal = DampedModalSynth(4, RATE, Range(60, 3000, log=True), Range(0.02, 1.0, log=True))
    frames = {"loop_frames": 4, "excitation_frames": 2}
    string = StringSynth(RATE, internal_rate=RATE, onset_s=(0.0,), excitation="burst", **frames)
    middle = dict.fromkeys(string.control_sizes, 0.5) | {"f0_hz": 150.0}
    (folder / "string.json").write_text(json.dumps({"preset": middle}))
    return {
        "snare": (Snare808(RATE, noise_samples=2000), "cfg/presets/808_snare_1.json", 14),
        "drum": (SimpleDrumSynth(RATE, noise_samples=2000), None, 9),
        "modal": (modal, None, 12),
        "string": (string, str(folder / "string.json"), 4 * (3 + 1) + 2 * (5 + 1 + 1)),
    }


@pytest.mark.parametrize("name", ["snare", "drum", "modal", "string"])
def test_any_synth_learns_to_follow_its_targets(name, tmp_path, generator):
    synth, preset, size = playable(tmp_path)[name]
    torch.manual_seed(3)
    mapper = MLPMapping(2, 16, size, 1, scale_output=True)
    task = RemapTask(MappedControls(mapper, preset), synth, mini_features(), RATE)
    onset = torch.rand(4, 2, generator=generator)
    target = torch.tensor([6.0, 6.0, 3.0, 3.0]) * onset[:, :1]
    batch = {"onset": onset, "difference": target, "weight": torch.ones(4, 4)}
    optimizer = torch.optim.Adam(task.mapping.mapper.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = task.loss(task.features(task(batch)), task.reference, target, batch["weight"])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.9 * losses[0]


def test_damping_keeps_a_parameter_near_its_preset():
    synth, preset = Snare808(RATE, 2000), "cfg/presets/808_snare_1.json"
    task = RemapTask(MappedControls(LinearMapping(3, 14), preset), synth, mini_features(), RATE)
    torch.nn.init.constant_(task.mapping.mapper.net.weight, 0.5)
    with torch.no_grad():
        moved, params = task.mapping.modulation(torch.ones(1, 3))[0], task.mapping.params(torch.ones(1, 3))[0]
    assert moved[0] == pytest.approx(0.015) and moved[1] == pytest.approx(1.5)
    assert params[0] == pytest.approx(task.mapping.preset[0, 0].item() + 0.015) and params[1] == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: RemapTask(
                MappedControls(LinearMapping(3, 13)), Snare808(RATE, 2000), mini_features(), RATE
            ),
            "mapper.out_size is 13, but Snare808 has 14 parameters to move: .*mapper.out_size 14",
        ),
        (
            lambda: RemapTask(
                MappedControls(LinearMapping(3, 13)), StringSynth(excitation="source"), mini_features(), RATE
            ),
            "StringSynth needs a source",
        ),
        (
            lambda: RemapTask(
                MappedControls(LinearMapping(3, 13)), StringSynth(excitation="burst"), mini_features(), RATE
            ),
            "needs f0_hz in real units",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_features_that_are_not_what_the_mapper_takes_are_refused():
    task = RemapTask(MappedControls(LinearMapping(3, 14)), Snare808(RATE, 2000), mini_features(), RATE)
    with pytest.raises(ValueError, match="mapper.in_size is 3, but there are 2 onset features"):
        task.mapping.params(torch.zeros(1, 2))
