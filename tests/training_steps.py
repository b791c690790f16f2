"""A model and a batch of each system, small and made up, for a step of training on any device."""

import test_matrix
import torch
from made_up import StringBatches, ToneBatches

from drumblender import controllers, encoders, losses, synths
from drumblender.features import RMS, CascadingFrameExtractor, FeatureCollection, SpectralCentroid
from drumblender.tasks import GuitarTask, PitchTask, RemapTask, StringTask, Voice


def drums():
    """Noise, and a TCN with FiLM that works on it."""
    return test_matrix.build(test_matrix.config("transient", "heard")), test_matrix.batch()


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


STEPS = {"drums": drums, "strings": strings, "pitch": pitch, "remap": remap, "guitar": guitar}
