"""A step of training on a GPU that is not here: on one device throughout, and the host never waits for it."""

import pytest
import test_matrix
import torch
from made_up import StringBatches, ToneBatches
from pretended_cuda import backward, moved, pretended_cuda

from drumblender import controllers, encoders, losses, synths
from drumblender.features import RMS, CascadingFrameExtractor, FeatureCollection, SpectralCentroid
from drumblender.tasks import GuitarTask, PitchTask, RemapTask, StringTask, Voice


def of_matrix(synth, controller="heard"):
    return lambda: (test_matrix.build(test_matrix.config(synth, controller)), test_matrix.batch())


def strings():
    encoder = encoders.NoteEncoder(8, encoders.MFCCEncoder(rnn_channels=6, z_dims=4))
    string = synths.StringSynth(internal_rate=16000, onset_s=(0.0, 0.3))
    task = StringTask(controllers.HeardControls(encoder), string, losses.MultiResolutionSTFTLoss())
    return task, next(iter(StringBatches().train_dataloader()))


def pitch():
    hears = encoders.PitchCNN(cached=True, channels=(4, 3, 3, 2, 1))
    heard = controllers.HeardControls(hears, controllers.PitchHead())
    settings = {"hold_steps": 1, "hold_loss": losses.SpectralTransportLoss()}
    task = PitchTask(heard, synths.HarmonicSynth(4, 16000), losses.MultiScaleSpectralLoss(), **settings)
    return task, next(iter(ToneBatches().train_dataloader()))


def remap():
    parts = [RMS(db=True), SpectralCentroid(8000)]
    features = FeatureCollection([CascadingFrameExtractor(parts, [2, 6], frame_size=256, hop_length=128)])
    mapped = controllers.MappedControls(controllers.LinearMapping(3, 14), "cfg/presets/808_snare_1.json")
    task = RemapTask(mapped, synths.Snare808(8000, noise_samples=2000), features, 8000)
    return task, {"onset": torch.rand(4, 3), "difference": torch.rand(4, 4), "weight": torch.ones(4, 4)}


def guitar():
    synth = synths.MixSynth({"harmonic": synths.HarmonicSynth(12), "noise": synths.FilteredNoiseSynth(17)})
    table = controllers.SpectrumTable(12, 6)
    table._learned = True  # which is read once
    curves = dict.fromkeys(("f0_hz", "loudness_db", "age_s", "peak_db"), torch.ones(1, 101))
    encoder = encoders.ControlGRU(8, inputs=tuple(curves), loudness="db")
    task = GuitarTask(
        {"guitar": Voice(synth, controllers.CorrectedSpectra(table, encoder))}, torch.nn.L1Loss()
    )
    return task, curves | {"audio": torch.zeros(1, 16000)}


STEPS = {name: of_matrix(name) for name in ("modal", "noise", "string", "transient", "filtered_noise")}
STEPS |= {"strings": strings, "pitch": pitch, "remap": remap, "guitar": guitar}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_training_waits_for_no_gpu(name, monkeypatch, unchecked):
    pytest.importorskip("triton")  # without it the recursion of a string reads its lags
    task, batch = STEPS[name]()
    monkeypatch.setattr(task, "log", lambda *args, **kwargs: None)
    with pretended_cuda(monkeypatch) as (_, uploads):
        there = {
            key: torch.empty(value.shape, dtype=value.dtype, device="cuda")
            for key, value in batch.items()
            if isinstance(value, torch.Tensor)
        }
        moved(task)
        for number in range(2):
            seen = uploads.count
            loss = task.training_step(there, number)["loss"]
            backward(loss, torch.ones((), device="cuda"))
        assert loss.device.type == "cuda" and uploads.count == seen, "a table is copied in every step"
        assert any(weight.grad is not None for weight in task.parameters())
