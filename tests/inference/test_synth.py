import pytest
import torch
import yaml
from golden_case import golden_file
from torch.nn import functional

from drumblender.audio_io import write_wav
from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import Loaded, build, load_checkpoint
from drumblender.controllers import HeardControls, PitchHead
from drumblender.data import HarmonicTonesDataModule
from drumblender.dsp.resample import hann_resample
from drumblender.encoders import PitchCNN
from drumblender.inference.resynthesis import Settings, resynthesise
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.synth import read_recording
from drumblender.losses import MultiScaleSpectralLoss
from drumblender.originals.drums import convert
from drumblender.synths import HarmonicSynth
from drumblender.tasks import PitchTask
from drumblender.weights_check import load_weights


def test_a_recording_sounds_as_the_original_program_made_it(golden):
    case = golden("drums", "synth_cli_all_parallel")
    old = yaml.safe_load(golden_file("drums/ckpt_all_parallel.yaml").read_text())
    imported = convert(old, read_checkpoint(golden_file("drums/ckpt_all_parallel.ckpt")))
    task, data = build(imported.config)
    load_weights(task, imported.state_dict, source="golden")

    audio = hann_resample(case["in_wav"].reshape(-1, case["in_wav"].shape[-1])[:1], 44100, data.sample_rate)
    num_samples = case["out_resampled"].shape[1]
    audio = functional.pad(audio, (0, max(0, data.num_samples - audio.shape[1])))
    case.check("out_resampled", audio[:, :num_samples])

    fields = data.analyse(audio)
    freq_rad, amp, phase_rad = case["out_modal_params"].unbind(1)
    active = amp > 0
    assert (fields["amp"].mT - amp).abs().max() < case.number("amps")
    assert ((fields["freq_rad"].mT / freq_rad - 1)[active]).abs().max() < case.number("freqs")
    turns = torch.remainder(fields["phase_rad"].mT - phase_rad + torch.pi, 2 * torch.pi) - torch.pi
    close = turns[active].abs() < case.number("phases")
    assert close.float().mean() > case.number("sounding_phases")

    # Rendered from the original's own modes: frame-0 phases beside +-pi flip with rounding.
    batch = {"audio": audio, "freq_rad": freq_rad.mT, "amp": amp.mT, "phase_rad": phase_rad.mT}
    with torch.no_grad():
        for mode, key in ((False, "out_audio_eval"), (True, "out_audio_train")):
            sound = task.train(mode)(batch, noise=case["in_noise"])
            case.check(key, sound.reshape(case[key].shape))


def test_a_model_of_made_sounds_says_what_hears_recordings():
    controls = HeardControls(PitchCNN(cached=True, channels=(4, 3, 3, 2, 1)), PitchHead())
    task = PitchTask(controls, HarmonicSynth(4, 16000), MultiScaleSpectralLoss())
    loaded = Loaded(task, HarmonicTonesDataModule(), 16000)
    with pytest.raises(ValueError, match="hears no recordings; `drumblender pitch IN OUT --tracker CKPT`"):
        resynthesise(loaded, torch.randn(8000), Settings())


def test_a_sound_much_longer_than_those_of_training_is_told_of(tmp_path, caplog):
    sound = 0.1 * torch.randn(16000 * 9, generator=torch.Generator().manual_seed(0))
    loaded = load_checkpoint(find_checkpoint("quickstart"))
    for seconds, told in ((9.0, True), (1.0, False)):
        caplog.clear()
        write_wav(tmp_path / "in.wav", sound[: int(16000 * seconds)], 16000)
        read_recording(loaded, tmp_path / "in.wav", tmp_path / "out.wav", Settings())
        assert ("in.wav lasts" in caplog.text) == told
