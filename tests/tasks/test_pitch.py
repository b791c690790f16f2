import lightning as L
import pytest
import torch
from made_up import ToneBatches

from drumblender.controllers import HeardControls, PitchHead
from drumblender.encoders.pitch_cnn import PitchCNN
from drumblender.losses import MultiScaleSpectralLoss, SpectralTransportLoss
from drumblender.metrics import WaveformMSE
from drumblender.synths import HarmonicSynth, NoiseSynth
from drumblender.tasks.pitch import PitchTask


def task(hold_steps=0, **head):
    torch.manual_seed(0)
    controls = HeardControls(PitchCNN(cached=True, channels=(4, 3, 3, 2, 1)), PitchHead(**head))
    return PitchTask(
        controls,
        HarmonicSynth(4, 16000),
        MultiScaleSpectralLoss(),
        hold_steps=hold_steps,
        hold_loss=SpectralTransportLoss(),
    )


def trainer(folder, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    return L.Trainer(
        default_root_dir=folder, accelerator="cpu", enable_model_summary=False, **quiet, **settings
    )


@pytest.mark.parametrize("steps, amplitudes_move", [(2, False), (3, True)])
def test_holds_the_amplitudes_for_as_many_steps_as_told(tmp_path, steps, amplitudes_move):
    model = task(hold_steps=2)
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.1)
    head = model.voices["tone"].controls.head.layers
    before = head["amp"].weight.clone(), head["f0_hz"][0].weight.clone()
    trainer(tmp_path, max_steps=steps, limit_val_batches=0).fit(model, ToneBatches())
    assert bool((head["amp"].weight != before[0]).any()) is amplitudes_move
    assert (head["f0_hz"][0].weight != before[1]).any()


def test_tells_at_which_ratios_the_pitches_lie(tmp_path):
    data = ToneBatches()
    model = task().eval()
    truth = [item["f0_hz"] for item in (data.item(torch.Generator().manual_seed(n)) for n in range(4))]
    octaves_below = iter(torch.stack(truth).split(2))

    def half(batch):
        f0_hz = next(octaves_below)[..., None] / 2
        return {"f0_hz": f0_hz, "amp": torch.tensor([0.0, 0.5, 0.0, 0.0]).expand(2, 1, 4)}

    model.voices["tone"].controls.forward = half
    (found,) = trainer(tmp_path).test(model, data, verbose=False)
    assert found["test/ratio_1:2"] == 1 and found["test/raw_pitch_accuracy"] == 0
    assert found["test/raw_chroma_accuracy"] == 1 and found["test/octave_difference"] == 1
    assert found["test/lowest_terms_accuracy"] == 1 and found["test/mean_harmonic_number"] == 2


def test_a_test_hears_nothing_of_the_validations_before(tmp_path):
    """Loud sounds validate, quiet ones are tested, after a training that moved nothing."""

    def quiet(scale):
        items = [ToneBatches().item(torch.Generator().manual_seed(n)) for n in range(4)]
        return torch.utils.data.DataLoader([item | {"audio": scale * item["audio"]} for item in items], 2)

    found = []
    for epochs in (0, 2):
        model = task()
        model.metrics["mse"] = WaveformMSE()
        model.configure_optimizers = lambda model=model: torch.optim.SGD(model.parameters(), lr=0.0)
        runs = trainer(tmp_path, max_epochs=epochs)
        runs.fit(model, quiet(1.0), quiet(100.0))
        found += runs.test(model, quiet(0.01), verbose=False)
    assert found[0] == found[1] and found[0]["test/mse"] < 1


def test_is_set_beside_others_by_its_pitch_and_given_none_of_the_truth():
    f0_hz = torch.tensor([[220.0], [330.0], [500.0]])
    time_s = torch.arange(8000) / 16000
    audio = sum(torch.sin(2 * torch.pi * k * f0_hz * time_s) / (4 * k) for k in (1, 2, 3))
    model = task().eval()

    def right(batch):
        assert "f0_hz" not in batch and "amp" not in batch
        return {"f0_hz": f0_hz[..., None], "amp": torch.tensor([0.25, 0.125, 0.08, 0.0]).expand(3, 1, 4)}

    batch = {"audio": audio, "f0_hz": f0_hz, "amp": torch.zeros(3, 1, 4), "cqt": torch.rand(3, 1, 285)}
    found = model.baselines(batch)
    assert not torch.equal(found["mean controls"], found["controls of another"])
    model.voices["tone"].controls.forward = lambda heard: right({"audio": heard["audio"]})
    wrong = {kind: figures["wrong_pitch"].tolist() for kind, figures in model.compare(batch).items()}
    assert wrong["model"] == wrong["pitch by YIN"] == [0, 0, 0]
    assert wrong["silence"] == wrong["mean controls"] == wrong["controls of another"] == [1, 1, 1]
    without = {name: value for name, value in batch.items() if name != "f0_hz"}
    assert next(iter(model.compare(without)["model"])) == "mrstft"


def test_rejects():
    with pytest.raises(ValueError, match="needs a synth with a fundamental"):
        PitchTask(HeardControls(PitchCNN()), NoiseSynth(num_bands=8, win_length=64), MultiScaleSpectralLoss())
    with pytest.raises(ValueError, match="-1"):
        task(hold_steps=-1)
