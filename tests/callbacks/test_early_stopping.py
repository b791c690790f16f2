import pytest
import torch
from callbacks.runs import Scale, sounds, trainer

from drumblender.callbacks import RelativeCheckpoint, RelativeEarlyStopping
from drumblender.callbacks.early_stopping import improves


class Scripted(Scale):
    """Its validation loss goes through given values, one an epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses

    def validation_step(self, batch, batch_idx):
        self.log("validation/loss", torch.tensor(self.losses[self.current_epoch]))


def run(folder, losses, *callbacks):
    result = trainer(
        folder, *callbacks, max_epochs=len(losses), enable_checkpointing=True, num_sanity_val_steps=0
    )
    result.fit(Scripted(losses), sounds(count=2), sounds(count=2))
    return result


def test_many_small_steps_down_do_not_count(tmp_path):
    losses = [100.0, 99.95, 99.93, 99.91, 50.0]
    stop = RelativeEarlyStopping(patience=3, min_rel_delta=1e-3)
    assert run(tmp_path, losses, stop).current_epoch == 4
    assert stop.best_score == 100


def test_the_rule_is_relative_to_the_best_at_any_scale(tmp_path):
    for scale in (1e-4, 1e4):
        stop = RelativeEarlyStopping(patience=1, min_rel_delta=0.1)
        losses = [scale * loss for loss in (1.0, 0.85, 0.70, 0.69, 0.1)]
        assert run(tmp_path / str(scale), losses, stop).current_epoch == 4
        assert stop.best_score == pytest.approx(0.70 * scale)


def test_the_best_checkpoint_follows_the_same_rule(tmp_path):
    keep = RelativeCheckpoint(dirpath=str(tmp_path / "kept"), min_rel_delta=0.1)
    run(tmp_path, [1.0, 0.95, 0.80, 0.79], keep)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["best.ckpt"]
    assert torch.load(tmp_path / "kept/best.ckpt", weights_only=True)["epoch"] == 2
    assert keep.best_model_score == pytest.approx(0.80)


def test_what_is_not_finite_stops_the_run(tmp_path):
    assert run(tmp_path, [1.0, float("nan"), 0.1], RelativeEarlyStopping()).current_epoch == 2


@pytest.mark.parametrize(
    "value, best, mode, better",
    [
        (0.9, 1.0, "min", True),
        (0.95, 1.0, "min", False),
        (1.2, 1.0, "max", True),
        (-2.0, -1.0, "min", True),
        (-1.05, -1.0, "min", False),
        (0.0, 0.0, "min", False),
        (5.0, float("inf"), "min", True),
        (float("nan"), 1.0, "min", False),
    ],
)
def test_an_improvement_is_a_share_of_the_best(value, best, mode, better):
    assert bool(improves(torch.tensor(value), torch.tensor(best), 0.1, mode)) == better


@pytest.mark.parametrize(
    "settings", [{"patience": 0}, {"min_rel_delta": -0.1}, {"min_rel_delta": float("nan")}]
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        RelativeEarlyStopping(**settings)
