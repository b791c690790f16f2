import pytest
import torch
from torch import nn
from torchmetrics import MeanSquaredError

from drumblender.callbacks.item_metrics import measure
from drumblender.controllers import FreeControls, GivenControls, HeardControls, ModeGains, SplitHead
from drumblender.dsp.units import Range
from drumblender.encoders import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.losses import WeightedLoss
from drumblender.metrics import ItemMetric
from drumblender.synths import (
    FilteredNoiseSynth,
    ModalSynth,
    NoiseSynth,
    Snare808,
    StftNoiseSynth,
    TransientTCN,
)
from drumblender.tasks import DrumTask, Voice

RATE = 8000


def modal_voice(**kwargs):
    return Voice(ModalSynth(num_modes=3), **kwargs)


def noise_voice():
    encoder = SoundStreamEncoder(hidden_channels=2, output_channels=9, strides=(4, 4))
    return Voice(NoiseSynth(win_length=32, num_bands=9), HeardControls(encoder, SplitHead()))


def transient_voice(combine):
    synth = TransientTCN(
        hidden_channels=4, num_layers=2, kernel_size=3, film_conditioning=True, film_embedding_size=5
    )
    encoder = SoundStreamAttentionEncoder(hidden_channels=2, output_channels=5, strides=(4, 4))
    return Voice(synth, HeardControls(encoder, SplitHead()), combine=combine)


def batch(num_samples=1024, generator=None):
    frames = num_samples // 64 + 1
    return {
        "audio": 0.1 * torch.randn(2, num_samples, generator=generator),
        "freq_rad": 0.1 + torch.rand(2, frames, 3, generator=generator),
        "amp": 0.2 * torch.rand(2, frames, 3, generator=generator),
        "phase_rad": torch.zeros(2, frames, 3),
    }


def task(voices, **kwargs):
    return DrumTask(voices, nn.MSELoss(), RATE, **kwargs).eval()


@torch.no_grad()
@pytest.mark.parametrize("order", ["mn", "mt", "mnt", "mtn", "mTn", "m"])
def test_each_voice_hears_the_mix_so_far_and_adds_or_replaces(order, generator):
    make = {
        "m": lambda: ("modal", modal_voice()),
        "n": lambda: ("noise", noise_voice()),
        "t": lambda: ("transient", transient_voice("replace")),
        "T": lambda: ("transient", transient_voice("add")),
    }
    drum = task(dict(make[letter]() for letter in order))
    item = batch(generator=generator)
    torch.manual_seed(3)
    rendered = drum(item)
    torch.manual_seed(3)
    stems = drum.stems(item)
    expected = {
        "mn": lambda s: s["modal"] + s["noise"],
        "mt": lambda s: s["transient"],
        "mnt": lambda s: s["transient"],
        "mtn": lambda s: s["transient"] + s["noise"],
        "mTn": lambda s: s["modal"] + s["transient"] + s["noise"],
        "m": lambda s: s["modal"],
    }[order](stems)
    assert torch.equal(rendered, expected)
    if "n" in order and order.index("n") < len(order) - 1:  # the transients heard the noise too
        heard = drum.voices["transient"](item, stems["modal"] + stems["noise"], num_samples=1024)
        assert torch.allclose(stems["transient"], heard, atol=1e-6)


def test_gains_scale_the_modes_that_the_batch_brings(generator):
    voice = modal_voice(controls=GivenControls(ModeGains(num_modes=3)))
    item = batch(generator=generator)
    with torch.no_grad():
        plain = task({"modal": voice})(item)
        for gain in voice.controls.gains.parameters():
            gain.fill_(2.0)
        assert torch.allclose(task({"modal": voice})(item), 2 * plain, atol=1e-6)


def test_every_weight_of_configuration_05_learns(generator):
    drum = task({"modal": modal_voice(), "transient": transient_voice("add"), "noise": noise_voice()}).train()
    item = batch(generator=generator)
    drum.loss(drum(item), item["audio"]).backward()
    without = [
        name for name, weight in drum.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    # The pooling's query is zero at first, so no gradient reaches what it is compared with; batch norm takes
    # out the bias of the convolution before it.
    assert all("pooling" in name or name.endswith("net.1.bias") for name in without), without


def test_validation_repeats_and_leaves_the_training_noise_alone(generator):
    drum = task({"modal": modal_voice(), "noise": noise_voice()})
    drum.log = lambda *args, **kwargs: None
    item = batch(generator=generator)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = drum.validation_step(item, 0)["prediction"]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, drum.validation_step(item, 0)["prediction"])
    assert not torch.equal(first, drum.validation_step(item, 1)["prediction"])


def test_a_step_returns_loss_prediction_and_target_and_logs_the_parts(generator):
    drum = DrumTask(
        {"modal": modal_voice(controls=GivenControls(ModeGains(3)))},
        WeightedLoss({"mse": nn.MSELoss()}),
        RATE,
    )
    logged = {}
    drum.log = lambda name, value, **kwargs: logged.update({name: value})
    step = drum.training_step(batch(generator=generator), 0)
    assert step["loss"].requires_grad and not step["prediction"].requires_grad
    assert step["prediction"].shape == step["target"].shape
    assert set(logged) == {"train/loss", "train/loss_epoch", "train/mse"}


def test_a_part_of_the_loss_and_a_metric_of_one_name_are_told_apart(generator):
    drum = DrumTask(
        {"modal": modal_voice(controls=GivenControls(ModeGains(3)))},
        WeightedLoss({"mse": nn.MSELoss()}),
        RATE,
        metrics={"mse": MeanSquaredError()},
    )
    logged = {}
    drum.log = lambda name, value, **kwargs: logged.update({name: value})
    drum.test_step(batch(generator=generator), 0)
    assert {"test/mse", "test/mse_loss"} <= set(logged)


@pytest.mark.parametrize(
    "synth, silence",
    [
        (NoiseSynth(num_bands=8, win_length=64), torch.zeros(2, 31, 64)),
        (
            StftNoiseSynth(16000, num_bands=8, n_fft=64, hop_length=16, range_db=Range(-60, 0)),
            torch.zeros(2, 1000),
        ),
        (FilteredNoiseSynth(num_bands=9), torch.zeros(2, 3000)),
        (Snare808(16000, noise_samples=1000), torch.zeros(2, 1000)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_noise_that_is_given_replaces_every_draw(synth, silence):
    drum = DrumTask({"noise": Voice(synth, FreeControls())}, nn.MSELoss(), sample_rate=16000)
    sounds = {"audio": torch.zeros(2, 1000)}
    first, second = drum(sounds, noise=silence), drum(sounds, noise=silence)
    assert torch.equal(first, second)
    if "808" not in type(synth).__name__:  # which has drums, too
        assert not first.any()


def test_noise_that_no_voice_takes_is_refused():
    with pytest.raises(ValueError, match="voices modal takes noise"):
        task({"modal": modal_voice()})(batch(), noise=torch.zeros(2, 1024))


def test_a_drum_without_voices_is_refused():
    with pytest.raises(ValueError, match="at least one voice"):
        task({})


def test_a_first_voice_that_needs_a_mix_is_refused():
    with pytest.raises(ValueError, match="'transient'"):
        task({"transient": transient_voice("add")})


def test_data_without_modes_is_named(generator):
    drum = task({"modal": modal_voice()})
    with pytest.raises(ValueError, match="freq_rad"):
        drum({"audio": torch.zeros(1, 100)})


def test_split_needs_as_many_features_as_controls():
    encoder = SoundStreamEncoder(hidden_channels=2, output_channels=8, strides=(4, 4))
    with pytest.raises(ValueError, match="8 features"):
        Voice(NoiseSynth(win_length=32, num_bands=9), HeardControls(encoder, SplitHead()))


class Counted(ItemMetric):
    """Counts how often it is asked."""

    asked = 0

    def per_item(self, prediction, target):
        Counted.asked += 1
        return (prediction - target).abs().mean(dim=1)


def test_a_test_computes_the_metric_of_an_item_once():
    hiss = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
    task = DrumTask({"hiss": hiss}, torch.nn.L1Loss(), 16000, metrics={"mae": Counted()})
    task.log = lambda *_, **__: None
    step = task.test_step({"audio": torch.zeros(2, 1000)}, 0)
    rows = measure(task, step, ["a", "b"])
    assert Counted.asked == 1
    assert [row["mae"] for row in rows] == step["item_metrics"]["mae"].tolist()
