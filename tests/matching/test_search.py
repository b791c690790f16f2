import pytest
import torch
from torch import nn

from drumblender.dsp.units import Range
from drumblender.matching.descent import gradient_search
from drumblender.matching.genetic import GeneticSettings, genetic_search
from drumblender.matching.objective import Objective
from drumblender.matching.patience import Patience
from drumblender.matching.space import Around, SearchSpace
from drumblender.synths.base import Synth
from drumblender.synths.harmonic import HarmonicSynth
from drumblender.synths.modal import ModalSynth


class Constant(Synth):
    """Holds one control through each half of the sound, so that the loss has a closed form."""

    def __init__(self, refuses_above: float = 2.0) -> None:
        super().__init__()
        self.control_sizes = {"first": 1, "second": 1}
        self.control_frames = {"first": 1, "second": 1}
        self.refuses_above = refuses_above
        self.played: list[int] = []

    def forward(self, controls, num_samples, source=None):
        value = torch.cat([controls["first"], controls["second"]], dim=2)[:, 0]
        self.played.append(len(value))
        audio = value.repeat_interleave(num_samples // 2, dim=1)
        return torch.where(value[:, :1] > self.refuses_above, torch.nan, audio)


class Square(nn.Module):
    def forward(self, prediction, target):
        return (prediction - target).square().mean()


TARGET = torch.tensor([0.8, 0.8, 0.3, 0.3])


def objective_of(synth):
    return Objective(TARGET, synth, Square(), SearchSpace(synth))


def starts(objective, *rows):
    values = torch.tensor(rows)[:, None, :]
    start = {"first": values[..., :1], "second": values[..., 1:]}
    return objective.space.free(len(rows), torch.Generator().manual_seed(0), start)


def test_a_start_goes_its_way_whatever_lies_beside_it():
    alone, among = objective_of(Constant()), objective_of(Constant())
    one, many = starts(alone, (0.2, 0.6)), starts(among, (0.2, 0.6), (0.9, 0.1), (0.5, 0.5))
    gradient_search(alone, one, 20, 0.1, Patience(50, 0))
    gradient_search(among, many, 60, 0.1, Patience(50, 0))
    for name in one.params:
        assert torch.allclose(one.params[name], many.params[name][:1], atol=1e-6)


def test_the_gradient_finds_the_bottom_within_its_budget():
    objective = objective_of(Constant())
    assert (
        gradient_search(objective, starts(objective, (0.5, 0.5), (0.9, 0.9)), 401, 0.1, Patience(400, 0)) == 0
    )
    assert objective.renders == 400 and objective.synth.played == [2] * 200
    assert objective.best_loss < 1e-6
    assert objective.best_unit["first"].item() == pytest.approx(0.8, abs=2e-3)
    assert objective.best_unit["second"].item() == pytest.approx(0.3, abs=2e-3)


def test_patience_ends_a_search_that_stands_still():
    objective = objective_of(Constant())
    gradient_search(objective, starts(objective, (0.5, 0.5)), 1000, 1e-7, Patience(5, 1e-4))
    assert objective.renders == 6  # the first is progress, five are not


def test_a_sound_that_is_nan_goes_back_and_the_others_go_on():
    objective = objective_of(Constant(refuses_above=0.7))
    free = starts(objective, (0.69, 0.3), (0.2, 0.9), (0.95, 0.3))
    skipped = gradient_search(objective, free, 300, 0.1, Patience(400, 0))
    assert skipped >= 100  # the third never had a finite loss, the first met the edge
    assert objective.failed > 0
    assert all(value.isfinite().all() for value in free.params.values())
    assert objective.best_unit["first"].item() == pytest.approx(0.7, abs=0.01)
    assert free.params["second"][1].sigmoid().item() < 0.5  # from 0.9 on its way to 0.3
    assert torch.allclose(free.params["first"][2].sigmoid(), torch.tensor(0.95))


def test_a_gradient_that_is_not_finite_is_left_out_and_counted():
    class Edgy(Constant):
        """The square root of 0 has a value and no finite slope."""

        def forward(self, controls, num_samples, source=None):
            return super().forward(controls, num_samples) + (controls["second"][:, 0] * 0).sqrt()

    objective = objective_of(Edgy())
    free = starts(objective, (0.5, 0.5))
    before = {name: value.detach().clone() for name, value in free.params.items()}
    assert gradient_search(objective, free, 4, 0.1, Patience(50, 0)) == 4
    assert all(torch.equal(before[name], value) for name, value in free.params.items())
    assert objective.failed == 0


def test_survivors_are_not_rendered_again():
    objective = objective_of(Constant())
    free = objective.space.free(20, torch.Generator().manual_seed(0))
    genetic_search(objective, free, 100, GeneticSettings(20, 10), Patience(100, 0), seed=0)
    assert objective.synth.played[0] == 20
    assert all(count <= 10 for count in objective.synth.played[1:])
    assert 90 <= objective.renders <= 100


def test_breeding_finds_the_region_and_keeps_the_fittest_first():
    objective = objective_of(Constant())
    free = objective.space.free(20, torch.Generator().manual_seed(0))
    bred = genetic_search(objective, free, 400, GeneticSettings(20, 10), Patience(100, 0), seed=0)
    assert objective.best_loss < 1e-3 < objective.history[0].best
    losses = objective(objective.space.from_genes(bred)).detach()
    assert losses[0] == pytest.approx(objective.best_loss, abs=1e-7)
    assert (losses.diff() >= -1e-7).all()


def test_a_candidate_that_is_nan_is_the_worst():
    objective = objective_of(Constant(refuses_above=0.5))
    free = objective.space.free(20, torch.Generator().manual_seed(0))
    bred = genetic_search(objective, free, 200, GeneticSettings(20, 10), Patience(100, 0), seed=0)
    assert objective.failed > 0
    losses = objective(objective.space.from_genes(bred)).detach()
    assert losses[:10].isfinite().all()
    assert objective.best_unit["first"].item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("settings", [{"parents": 1}, {"parents": 20}, {"mutation": 0}, {"step": 0}])
def test_breeding_that_cannot_work_is_refused(settings):
    with pytest.raises(ValueError):
        GeneticSettings(**settings)


def test_controls_leave_the_unit_only_where_they_have_a_region():
    synth = HarmonicSynth(3, 8000, level_db=Range(-60, 0))
    guess = torch.tensor([[[100.0], [200.0]]])
    space = SearchSpace(synth, {"f0_hz": 2}, regions={"f0_hz": Around(guess, 1200)})
    unit = {"f0_hz": torch.tensor([[[0.5], [1.0]]]), "level": torch.full((1, 32, 3), 0.25)}
    controls = space.controls(unit)
    assert controls["f0_hz"].flatten().tolist() == pytest.approx([100, 400])
    assert torch.equal(controls["level"], unit["level"])
    back = space.unit(controls)
    assert all(torch.allclose(back[name], unit[name]) for name in unit)


def test_mode_tracks_are_searched_below_nyquist():
    space = SearchSpace(ModalSynth(4), frames=3)
    controls = space.controls({name: torch.full((2, 3, 4), 1.0) for name in ("freq_rad", "amp", "phase_rad")})
    assert controls["freq_rad"].max() < torch.pi
    assert torch.allclose(controls["phase_rad"], torch.tensor(torch.pi))


def test_starts_are_held_over_frames_and_a_guess_is_kept(generator):
    synth = HarmonicSynth(3, 8000, level_db=Range(-60, 0))
    space = SearchSpace(synth, regions={"f0_hz": Around(torch.tensor([[[100.0]]]), 30)})
    unit = space.free(5, generator).values()
    assert (unit["level"].diff(dim=1) == 0).all()
    assert unit["level"][:, 0].std() > 0.1
    assert (unit["f0_hz"] == 0.5).all()


def test_genes_are_the_controls_in_order(generator):
    space = SearchSpace(Constant())
    free = space.free(4, generator)
    unit = space.from_genes(space.genes(free))
    assert all(torch.allclose(unit[name], value) for name, value in free.values().items())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"fixed": {"pitch": torch.ones(1, 1, 1)}}, "No control pitch; the synth has f0_hz, amp"),
        ({"frames": {"freq": 3}, "regions": {"f0_hz": Range(1, 2)}}, "No control freq"),
        ({}, "--fix f0_hz=VALUE or --range f0_hz=LOW:HIGH"),
        ({"fixed": {"f0_hz": torch.ones(1, 1, 2)}}, r"f0_hz is \(1, 1, 1\), got \(1, 1, 2\)"),
        ({"fixed": {"f0_hz": torch.ones(1, 1, 1), "amp": torch.ones(1, 1, 3)}}, "nothing to search"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(HarmonicSynth(3, 8000), **settings)
