"""The ensemble of remapping runs: each member as it would be alone; direct optimisation; tables."""

import hydra
import lightning as L
import numpy as np
import pytest
import soundfile
import torch
from golden_parts import build_feature, build_mapper, published_features

from drumblender.checkpoints import load_checkpoint
from drumblender.controllers import LinearMapping, MappedControls
from drumblender.data import RemapDataModule
from drumblender.features import RMS, CascadingFrameExtractor, FeatureCollection, SpectralCentroid
from drumblender.synths import Snare808
from drumblender.synths.preset import load_preset
from drumblender.tasks import RemapTask
from experiments.remap import study
from experiments.remap.direct import DirectSchedule, optimise_directly
from experiments.remap.ensemble import Ensemble, Schedule, shuffled, train
from experiments.remap.members import Drum, Member, drum_of, members_of, start_from
from experiments.remap.optimisers import Plateau
from experiments.remap.table import build_table

PRESETS = "cfg/presets/808_{}.json"


def drums_of(numbers, dtype):
    """The drums of a golden trajectory, by name; its float64 runs took the differences in float64."""
    names = sorted({key.split("_")[1] for key in numbers if key.endswith("ref_idx")})
    drums = {}
    for name in names:
        part = {key.removeprefix(f"in_{name}_"): value for key, value in numbers.items()}
        reference = int(part["ref_idx"])
        onset, full = part["onset_features"].to(dtype), part["full_features"].to(dtype)
        ids = (part[f"{split}_ids"] for split in ("train", "val", "test"))
        weight = torch.ones(full.shape[1])
        drums[name] = Drum(name, onset - onset[reference], full - full[reference], weight, *ids, {})
    return drums


def golden_ensemble(numbers, dtype):
    config = numbers.config
    synth = config["synth"]
    start = start_from(
        config["seed_everything"],
        lambda: (build_mapper(config["model"]), Snare808(synth["sample_rate"], synth["buffer_size"])),
    )
    numbers.check("in_noise", start.synth.noise)
    weights = [value.flatten() for value in start.mapper.state_dict().values()]
    numbers.check("in_init_weights", torch.cat(weights))
    drums = drums_of(numbers, dtype)
    members = []
    for run in config["runs"]:
        name, preset_name = run.split("_", 1)
        preset = load_preset(PRESETS.format(preset_name), start.synth)
        members.append(Member(drums[name], preset_name, preset.values[0], preset.damping[0], 0))
    features = build_feature(config["feature"])
    return Ensemble(members, [start], features, synth["num_samples"], dtype=dtype)


def golden_schedule(config, **settings):
    plateau = config["lr_scheduler"]["ReduceLROnPlateau"]
    chosen = {"factor": plateau["factor"], "patience": plateau["patience"], "epochs": config["max_epochs"]}
    return Schedule(lr=config["optimizer"]["Adam"]["lr"], **(chosen | settings))


def losses_of(history, number):
    """The step losses of one member, without the steps it had no batch in."""
    losses = torch.stack(history.step_loss)[:, number]
    return losses[~losses.isnan()]


@pytest.mark.parametrize("name", ["trajectory_linear", "trajectory_mlp"])
def test_members_train_as_the_separate_runs_did(golden, name):
    numbers = golden("remap", name)
    ensemble = golden_ensemble(numbers, torch.float32)
    history = train(ensemble, golden_schedule(numbers.config, epochs=4))
    for number, run in enumerate(numbers.config["runs"]):
        losses, key = losses_of(history, number), f"out_{run}_step_loss"
        numbers.check(key, losses[:4], at=slice(4), within="first_losses")
        numbers.check(key, losses, at=slice(len(losses)))


@pytest.mark.parametrize("name", ["trajectory_linear", "trajectory_mlp"])
def test_members_keep_to_the_separate_runs_in_float64(golden, name):
    numbers = golden("remap", name)
    ensemble = golden_ensemble(numbers, torch.float64)
    history = train(ensemble, golden_schedule(numbers.config))
    for number, run in enumerate(numbers.config["runs"]):
        losses, key = losses_of(history, number), f"out_{run}_step_loss_f64"
        assert len(losses) == len(numbers[key])
        numbers.check(key, losses[:8], at=slice(8), within="first_losses_f64")
        numbers.check(key, losses[:14], at=slice(14), within="next_losses_f64")
        numbers.check(f"out_{run}_lr_f64", torch.stack(history.lr)[:, number])


@pytest.mark.parametrize("algorithm", ["linear", "mlp", "mlp_large"])
def test_seeds_give_the_published_noise_and_orders(golden, algorithm):
    numbers = golden("remap", "seeded_run")
    mapper, seed = numbers.parameters[algorithm], numbers.config["seed_everything"]
    start = start_from(seed, lambda: (build_mapper(mapper), Snare808(44100, 44100)))
    numbers.check(f"out_{algorithm}_noise_head", start.synth.noise[0, :64])
    numbers.check(f"out_{algorithm}_noise_sum_f64", start.synth.noise.double().sum())
    drums = [made_up_drum(count) for count in (17, 40)]
    preset = load_preset(PRESETS.format("snare_1"), start.synth)
    members = [Member(drum, "snare_1", preset.values[0], preset.damping[0], 0) for drum in drums]
    ensemble = Ensemble(members, [start], published_features())
    generator = torch.Generator()
    generator.set_state(start.draws)
    for epoch in range(4):
        for count, order in zip((17, 40), shuffled(ensemble, [generator]), strict=True):
            numbers.check(f"out_{algorithm}_perm_n{count}_e{epoch}", order)


def made_up_drum(count, name="made up"):
    generator = torch.Generator().manual_seed(count)
    onset = torch.rand(count + 4, 3, generator=generator) - 0.5
    difference = 4 * torch.randn(count + 4, 7, generator=generator)
    ids = torch.arange(count + 4)
    splits = ids[:count], ids[count : count + 2], ids[count + 2 :]
    return Drum(name, onset, difference, torch.ones(7), *splits, {})


def test_a_plateau_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    losses = (torch.rand(60, 3, generator=generator) + torch.linspace(1, 0.6, 60)[:, None]).double()
    ours = Plateau(0.01, 3, factor=0.5, patience=2)
    optimizers = [torch.optim.SGD([torch.zeros(1)], lr=0.01) for _ in range(3)]
    theirs = [torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=2) for o in optimizers]
    for row in losses:
        ours.step(row)
        for scheduler, loss in zip(theirs, row, strict=True):
            scheduler.step(loss.item())
        assert ours.lr.tolist() == [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    assert len(set(ours.lr.tolist())) > 1


def test_direct_optimisation_comes_as_far_as_published(golden):
    numbers = golden("remap", "direct_optimisation")
    config = numbers.config
    synth = config["init"]["synth"]["init"]
    mapper, rate = config["init"]["model"], synth["sample_rate"]
    start = start_from(0, lambda: (build_mapper(mapper), Snare808(rate, synth["buffer_size"])))
    start.synth.noise.copy_(numbers["in_noise"])
    target = numbers["in_target"]
    ids = torch.arange(len(target))
    drum = Drum("six hits", torch.zeros(len(target), 3), target, torch.ones(7), ids, ids, ids, {})
    preset = load_preset(PRESETS.format("snare_1"), start.synth)
    members = [Member(drum, "snare_1", preset.values[0], preset.damping[0], 0)]
    ensemble = Ensemble(members, [start], build_feature(config["init"]["feature"]), synth["num_samples"])
    plateau = config["lr_scheduler"]["ReduceLROnPlateau"]
    schedule = DirectSchedule(config["iterations"], config["optimizer"]["Adam"]["lr"], **plateau)
    result = optimise_directly(ensemble, schedule)
    numbers.check("out_loss", result.loss[:5, 0], at=slice(5), within="first_losses")
    numbers["last_losses"] = numbers["out_loss"][-40:].mean()
    numbers["mean_error"] = numbers["out_metrics"].mean()
    numbers.check("last_losses", result.loss[-40:, 0].mean())
    numbers.check("mean_error", result.errors[0].mean())
    best = optimise_directly(ensemble, DirectSchedule(iterations=60, best=True))
    last = optimise_directly(ensemble, DirectSchedule(iterations=60))
    assert best.errors[0].mean() <= last.errors[0].mean()


def test_the_table_is_the_published_one(golden):
    numbers = golden("remap", "results_table")
    errors = {name: numbers[f"in_{name}"].double().tolist() for name in numbers.config["algorithms"]}
    errors["preset"] = numbers["in_pre_linear"].double().tolist()
    table = build_table(errors, numbers.config["metric_labels"])
    assert list(table.columns) == numbers.config["column_order"]
    assert list(table.rows) == numbers.config["rows"]
    numbers.check("out_mean_f64", torch.tensor(table.mean, dtype=torch.float64))
    numbers.check("out_std_f64", torch.tensor(table.std, dtype=torch.float64))
    assert table.text() == numbers["out_text"].tolist()
    assert table.to_latex() == str(numbers["out_latex"])


def test_a_column_of_one_run_has_no_deviation_and_one_of_none_is_refused():
    assert build_table({"linear": [[1.0]]}, ["RMS_0_1_mean"]).text() == [["$1.000$"]]
    with pytest.raises(ValueError, match="linear: a column needs runs of 1 features"):
        build_table({"linear": []}, ["RMS_0_1_mean"])


def drum_folder(folder, hits=23):
    rng = np.random.default_rng(3)
    for number in range(hits):
        time = np.arange(4000)
        level, decay = rng.uniform(0.05, 0.9), rng.uniform(0.995, 0.999)
        audio = np.zeros(4200)
        audio[200:] = (
            level * decay**time * (rng.uniform(-1, 1, 4000) + np.sin(time * rng.uniform(0.1, 0.3))) / 2
        )
        soundfile.write(folder / f"hit{number}.wav", audio, 8000)


@pytest.mark.parametrize("val_split, weighted", [(0.1, False), (0.0, True)])
def test_a_member_is_the_run_of_a_trainer(tmp_path, val_split, weighted):
    """Weights after three epochs: the same shuffles, steps, validation, schedule and test."""
    drum_folder(tmp_path)

    def cascade(*num_frames):
        parts = [RMS(db=True), SpectralCentroid(8000)]
        return FeatureCollection([CascadingFrameExtractor(parts, list(num_frames), 256, 256)])

    def data():
        splits = {"val_split": val_split, "test_split": 0.1, "weighted": weighted}
        path = str(tmp_path)
        return RemapDataModule(
            path, cascade(1, 4), cascade(1), sample_rate=8000, batch_size=8, center_onset=True, **splits
        )

    def parts():
        return LinearMapping(2, 14, clamp=True, init_std=1e-3), Snare808(8000, 2000)

    path = PRESETS.format("snare_2")
    L.seed_everything(5, verbose=False)
    mapper, synth = parts()
    task = RemapTask(MappedControls(mapper, path), synth, cascade(1, 4), 8000)

    def configure():
        optimizer = torch.optim.Adam(task.mapping.mapper.parameters(), lr=0.002)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "validation/loss"}}

    task.configure_optimizers = configure
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_epochs=3, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(task, datamodule=data())

    start = start_from(5, parts)
    drum = drum_of(data(), "drum")
    ensemble = Ensemble(members_of([drum] * 2, [path], [start]), [start], cascade(1, 4))
    schedule = Schedule(lr=0.002, epochs=3, batch_size=8, patience=0, chunk=5)
    history = train(ensemble, schedule)
    moved = task.mapping.mapper.net.weight.detach()
    assert (moved - start.mapper.net.weight).abs().max() > 1e-3
    for number in range(2):
        assert torch.allclose(ensemble.mapper_state(number)["net.weight"], moved, atol=1e-5)
    assert history.val_loss[-1][0] == pytest.approx(
        trainer.callback_metrics["validation/loss"].item(), rel=1e-4
    )
    (tested,) = trainer.test(task, datamodule=data(), verbose=False)
    errors = ensemble.errors([drum.test_ids] * 2, chunk=5)[0].mean(dim=0)
    for label, error in zip(task.labels, errors.tolist(), strict=True):
        assert tested[f"test/{label}"] == pytest.approx(error, rel=1e-3)
    assert history.lr[-1][0] == trainer.optimizers[0].param_groups[0]["lr"] or len(set(history.lr)) > 1


def test_seeds_are_members_with_noise_and_weights_of_their_own():
    def parts():
        return LinearMapping(3, 14, init_std=0.1), Snare808(8000, 2000)

    features = CascadingFrameExtractor([RMS(db=True)] * 7, [2], 256, 256)
    starts = [start_from(seed, parts) for seed in (1, 2)]
    drum = made_up_drum(9)
    both = Ensemble(members_of([drum], [PRESETS.format("snare_1")], starts), starts, features)
    together = train(both, Schedule(epochs=1))
    for place, start in enumerate(starts):
        alone = Ensemble(members_of([drum], [PRESETS.format("snare_1")], [start]), [start], features)
        losses = losses_of(train(alone, Schedule(epochs=1)), 0)
        assert torch.allclose(losses_of(together, place), losses, rtol=1e-5)
        for name, value in alone.mapper_state(0).items():
            assert torch.allclose(both.mapper_state(place)[name], value, atol=1e-6)


def test_a_study_writes_metrics_tables_and_checkpoints(tmp_path):
    for name in ("first", "second"):
        (tmp_path / "drums" / name).mkdir(parents=True)
        drum_folder(tmp_path / "drums" / name, hits=6)
    with hydra.initialize(version_base="1.3", config_path="../experiments/remap/config"):
        arguments = [f"drums={tmp_path}/drums", f"output={tmp_path}/out", "presets=[808_snare_1]"]
        short = hydra.compose("study", [*arguments, "epochs=1", "checkpoints=true"])
        direct = hydra.compose("study", [*arguments, "algorithm=direct", "iterations=2"])
        with pytest.raises(ValueError, match="algorithm is one of linear, mlp"):
            study.run(hydra.compose("study", [*arguments, "algorithm=odd"]))
    metrics = study.run(short)
    study.run(direct)
    rows = metrics.read_text().splitlines()
    assert len(rows) == 3 and rows[1].startswith("first,808_snare_1,3608013887,linear,1,")
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| preset | direct | linear |" in table and "SC_T" in table
    before = metrics.stat().st_mtime_ns
    assert study.run(short) == metrics and metrics.stat().st_mtime_ns == before
    loaded = load_checkpoint(tmp_path / "out/checkpoints/linear/first-808_snare_1-3608013887.ckpt")
    assert loaded.task.mapping.onset_scale.known and loaded.data.path.name == "first"
