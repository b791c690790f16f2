import pytest
import torch
from golden_case import golden_file

from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import build, load_checkpoint
from drumblender.originals.command import convert as convert_any
from drumblender.originals.imported import save_imported
from drumblender.originals.strings import convert, recognises


def original(hidden=6, loop_frames=3, taps=2, frames=4, order=2, rnn=5, z=3):
    """A checkpoint with the names and shapes of the original, made up."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    state = {}
    for name, inputs, size in (("z_encoder.rnn", 30, rnn), ("gru", 2 * hidden, hidden)):
        state |= {
            f"{name}.weight_ih_l0": draw(3 * size, inputs),
            f"{name}.weight_hh_l0": draw(3 * size, size),
        }
        state |= {f"{name}.bias_ih_l0": draw(3 * size), f"{name}.bias_hh_l0": draw(3 * size)}
    for name, inputs in (("in_mlps.0", 1), ("out_mlp", hidden + 2 + z)):
        for place, columns in ((0, inputs), (3, hidden), (6, hidden)):
            state |= {f"{name}.{place}.weight": draw(hidden, columns), f"{name}.{place}.bias": draw(hidden)}
            state |= {f"{name}.{place + 1}.weight": draw(hidden), f"{name}.{place + 1}.bias": draw(hidden)}
    state |= {key.replace("mlps.0", "mlps.1"): value for key, value in state.items() if "mlps.0" in key}
    heads = {
        "loop_coeff_proj": loop_frames * taps,
        "exc_coeff_proj": frames * (order + 1),
        "loop_gain_proj": loop_frames,
    }
    for name, rows in heads.items():
        state |= {f"{name}.weight": draw(rows, hidden), f"{name}.bias": draw(rows)}
    state |= {"z_encoder.dense_out.weight": draw(z, rnn), "z_encoder.dense_out.bias": draw(z)}
    state |= {"z_encoder.mfcc_transform.MelSpectrogram.spectrogram.window": torch.hann_window(1024)}
    state |= {
        "decoder.exc_coefficients": draw(8, frames, order + 1),
        "decoder.loop_gain": draw(8, loop_frames, 1),
    }
    return {"epoch": 7, "model_state_dict": state | {"cache_gru": draw(1, 1, hidden)}}


def test_a_checkpoint_becomes_one_of_ours(tmp_path):
    checkpoint = original()
    assert recognises(None, checkpoint) and recognises(None, checkpoint["model_state_dict"])
    imported = convert_any(None, checkpoint)
    save_imported(imported, tmp_path / "ours.ckpt")
    loaded = load_checkpoint(tmp_path / "ours.ckpt")
    assert loaded.sample_rate == 16000
    synth = loaded.task.voices["string"].synth
    assert synth.control_sizes == {
        "f0_hz": 1,
        "loop_taps": 2,
        "loop_gain": 1,
        "excitation_taps": 2,
        "excitation_gain": 1,
    }
    assert synth.control_frames["loop_taps"] == 3 and synth.control_frames["excitation_taps"] == 4
    assert "decoder.loop_gain" in imported.dropped and "cache_gru" in imported.dropped


def test_input_networks_that_differ_are_refused():
    checkpoint = original()
    checkpoint["model_state_dict"]["in_mlps.1.0.bias"] = torch.zeros(6)
    with pytest.raises(ValueError, match=r"in_mlps.1.0.bias differs"):
        convert(None, checkpoint)


def test_drum_checkpoints_are_not_taken_for_strings():
    assert not recognises(None, {"state_dict": {}})


@pytest.mark.parametrize("name", ["autoencoder", "autoencoder_legacy", "autoencoder_published_rates"])
def test_golden_autoencoder(name, golden):
    numbers = golden("strings", name)
    given, rate = numbers.config["init"], numbers.config["call"]["audio_sr"]
    imported = convert(
        None,
        read_checkpoint(golden_file(f"strings/{numbers.config['checkpoint']}")),
        sample_rate=rate,
        internal_rate=given["internal_sr"],
        min_f0_hz=given["min_f0_hz"],
        excitation_s=given["exc_length_s"],
        batch_top_db=True,
    )
    # The original analyses timbre as if at 16 kHz, whatever the rate.
    task, _ = build(imported.config)
    task.load_state_dict(imported.state_dict)
    audio = numbers["in_audio"] if "in_audio" in numbers else numbers["in_audio_int16"].float() / 32768
    batch = {
        "audio": audio,
        "f0_hz": numbers["in_pitch"][..., 0],
        "loudness_db": numbers["in_loudness"][..., 0],
    }
    controls = task.voices["string"].controls(batch)
    raw = {name: torch.logit(value) for name, value in controls.items() if name != "f0_hz"}
    excitation = torch.cat([raw["excitation_gain"], raw["excitation_taps"]], dim=-1)
    numbers.check("out_raw_loop_coefficients", raw["loop_taps"])
    numbers.check("out_raw_loop_gain", raw["loop_gain"])
    numbers.check("out_raw_exc_coefficients", excitation)
    found = task.coefficients(controls)
    numbers.check("out_loop", found["loop_coefficients"])
    numbers.check("out_exc", found["excitation_coefficients"])
    prediction = task(batch)
    if "out_audio" not in numbers:
        numbers.check("out_audio_decimated8", prediction[:, ::8])
        return
    numbers.check("out_audio", prediction)
    check_gradients(task, (prediction * numbers["in_weight_audio"]).sum(), numbers, "grad_audio__")
    found = task.coefficients(task.voices["string"].controls(batch))
    known = (found["loop_coefficients"] * numbers["in_weight_loop"]).sum()
    known = known + (found["excitation_coefficients"] * numbers["in_weight_exc"]).sum()
    check_gradients(task, known, numbers, "grad_params__")


def check_gradients(task, value, numbers, prefix):
    task.zero_grad()
    value.backward()
    renamed = {"in_mlps.0": "encoder.pitch_net", "loop_coeff_proj": "head.layers.loop_taps"}
    renamed |= {"loop_gain_proj": "head.layers.loop_gain"}
    for key in numbers:
        if not key.startswith(prefix):
            continue
        old = key.removeprefix(prefix)
        module = next((name for name in renamed if old.startswith(name)), None)
        new = f"encoder.{old}" if module is None else renamed[module] + old.removeprefix(module)
        new = f"voices.string.controls.{new}"
        numbers.check(key, task.get_parameter(new).grad)
