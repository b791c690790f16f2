import lightning as L
import pytest
import torch
from made_up import ToneBatches

from drumblender.controllers import HeardControls, PitchHead
from drumblender.encoders.pitch_cnn import PitchCNN
from drumblender.losses import MultiScaleSpectralLoss, SpectralTransportLoss
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


def test_rejects():
    with pytest.raises(ValueError, match="needs a synth with a fundamental"):
        PitchTask(HeardControls(PitchCNN()), NoiseSynth(num_bands=8, win_length=64), MultiScaleSpectralLoss())
    with pytest.raises(ValueError, match="-1"):
        task(hold_steps=-1)
