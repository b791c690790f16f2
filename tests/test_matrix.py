"""Any synth, controller and loss, named in YAML, trains together or says in one line why it cannot."""

import copy
from functools import cache

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from drumblender.console import one_line
from drumblender.synths.base import Synth, has_unit
from drumblender.tasks import SynthesisTask

RATE, SAMPLES, F0_HZ = 8000, 2048, 220.0

SYNTHS = yaml.safe_load("""
modal: {class_path: drumblender.synths.ModalSynth, init_args: {num_modes: 3}}
modal_ranged:
  class_path: drumblender.synths.ModalSynth
  init_args: {num_modes: 3, freq_rad: {low: 0.01, high: 3.0, log: true}, phase_rad: {low: -3, high: 3}}
damped:
  class_path: drumblender.synths.DampedModalSynth
  init_args:
    {num_modes: 3, sample_rate: 8000, freq_hz: {low: 50, high: 3000, log: true}, t60_s: {low: 0.05, high: 1}}
noise: {class_path: drumblender.synths.NoiseSynth, init_args: {num_bands: 9, win_length: 64}}
noise_level:
  class_path: drumblender.synths.NoiseSynth
  init_args: {num_bands: 9, win_length: 64, level_db: {low: -80, high: 0}}
harmonic: {class_path: drumblender.synths.HarmonicSynth, init_args: {num_harmonics: 4, sample_rate: 8000}}
harmonic_ranged:
  class_path: drumblender.synths.HarmonicSynth
  init_args:
    {num_harmonics: 4, sample_rate: 8000, f0_hz: {low: 50, high: 900}, level_db: {low: -60, high: 0}}
string:
  class_path: drumblender.synths.StringSynth
  init_args:
    {sample_rate: 8000, internal_rate: 8000, excitation: burst, onset_s: [0], loop_gain: {low: 0.9, high: 1}}
string_ranged:
  class_path: drumblender.synths.StringSynth
  init_args:
    {sample_rate: 8000, internal_rate: 8000, excitation: burst, onset_s: [0.0], f0_hz: {low: 83, high: 900}}
string_of_target:
  class_path: drumblender.synths.StringSynth
  init_args: {sample_rate: 8000, internal_rate: 8000, onset_s: [0.0]}
snare: {class_path: drumblender.synths.Snare808, init_args: {sample_rate: 8000}}
simple: {class_path: drumblender.synths.SimpleDrumSynth, init_args: {sample_rate: 8000}}
fm: {class_path: drumblender.synths.FMDrumSynth, init_args: {sample_rate: 8000}}
transient:
  class_path: drumblender.synths.TransientTCN
  init_args:
    {hidden_channels: 4, num_layers: 2, kernel_size: 3, film_conditioning: true, film_embedding_size: 5}
lapped: {class_path: drumblender.synths.LappedTransient, init_args: {size: 8}}
mix:
  class_path: drumblender.synths.MixSynth
  init_args:
    synths:
      tone: {class_path: drumblender.synths.HarmonicSynth, init_args: {num_harmonics: 4, sample_rate: 8000}}
      hiss: {class_path: drumblender.synths.NoiseSynth, init_args: {num_bands: 9, win_length: 64}}
filtered_noise:
  class_path: drumblender.synths.FilteredNoiseSynth
  init_args: {num_bands: 5, hop_length: 64, n_fft: 256}
guitar:
  class_path: drumblender.synths.MixSynth
  init_args:
    synths:
      tone: {class_path: drumblender.synths.HarmonicSynth, init_args: {num_harmonics: 4, sample_rate: 8000}}
      hiss:
        class_path: drumblender.synths.FilteredNoiseSynth
        init_args: {num_bands: 5, hop_length: 64, n_fft: 256}
""")

CONTROLLERS = yaml.safe_load("""
heard:
  class_path: drumblender.controllers.HeardControls
  init_args:
    encoder:
      class_path: drumblender.encoders.SoundStreamEncoder
      init_args: {hidden_channels: 2, output_channels: 6, strides: [4, 8]}
heard_pooled:
  class_path: drumblender.controllers.HeardControls
  init_args:
    encoder:
      class_path: drumblender.encoders.SoundStreamAttentionEncoder
      init_args: {hidden_channels: 2, output_channels: 6, strides: [4, 8]}
heard_note:
  class_path: drumblender.controllers.HeardControls
  init_args:
    encoder:
      class_path: drumblender.encoders.NoteEncoder
      init_args:
        hidden_size: 6
        z_encoder:
          class_path: drumblender.encoders.MFCCEncoder
          init_args: {rnn_channels: 4, z_dims: 3, sample_rate: 8000}
split:
  class_path: drumblender.controllers.HeardControls
  init_args:
    encoder:
      class_path: drumblender.encoders.SoundStreamAttentionEncoder
      init_args: {hidden_channels: 2, output_channels: SIZE, strides: [4, 8]}
    head: {class_path: drumblender.controllers.SplitHead}
heard_curves:
  class_path: drumblender.controllers.HeardControls
  init_args:
    encoder: {class_path: drumblender.encoders.ControlGRU, init_args: {hidden_size: 6}}
    head: {class_path: drumblender.controllers.ExpSigmoidHead}
harmonic_curves:
  class_path: drumblender.controllers.HarmonicControls
  init_args:
    encoder: {class_path: drumblender.encoders.ControlTransformer, init_args: {hidden_size: 4, num_heads: 2}}
    sample_rate: 8000
given: {class_path: drumblender.controllers.GivenControls}
free: {class_path: drumblender.controllers.FreeControls, init_args: {num_frames: 3}}
mapped:
  class_path: drumblender.controllers.MappedControls
  init_args:
    mapper: {class_path: drumblender.controllers.LinearMapping, init_args: {in_size: 2, out_size: SIZE}}
""")

LOSSES = yaml.safe_load("""
spectral:
  class_path: drumblender.losses.MultiResolutionSTFTLoss
  init_args: {fft_sizes: [256], hop_sizes: [64], win_lengths: [256]}
slope: {class_path: drumblender.losses.FirstOrderDifferenceLoss}
plain: {class_path: torch.nn.L1Loss}
foreign:
  class_path: drumblender.losses.Channelled
  init_args:
    loss:
      class_path: auraloss.freq.MultiResolutionSTFTLoss
      init_args: {fft_sizes: [256], hop_sizes: [64], win_lengths: [256]}
weighted:
  class_path: drumblender.losses.WeightedLoss
  init_args: {losses: {a: {class_path: torch.nn.L1Loss}, b: {class_path: torch.nn.MSELoss}}}
""")

UNITS = (
    "modal",
    "harmonic",
    "string",
    "string_of_target",
    "mix",
    "guitar",
)  # whose units no random preset brings
LINEAR = (
    "modal",
    "noise",
    "harmonic",
    "transient",
    "lapped",
    "mix",
    "filtered_noise",
    "guitar",
)  # whose controls need not be squashed


def batch():
    generator = torch.Generator().manual_seed(0)
    frames = SAMPLES // 256
    return {
        "audio": 0.1 * torch.randn(2, SAMPLES, generator=generator),
        "f0_hz": torch.full((2, frames), F0_HZ),
        "tone_f0_hz": torch.full((2, frames), F0_HZ),
        "loudness_db": torch.linspace(-20, -40, frames).expand(2, -1),
        "freq_rad": torch.full((2, frames, 3), 0.3),
        "amp": torch.full((2, frames, 3), 0.1),
        "phase_rad": torch.zeros(2, frames, 3),
        "onset": torch.rand(2, 2, generator=generator),
    }


def build_synth(name):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Synth, "synth", required=True)
    return parser.instantiate(parser.parse_object({"synth": copy.deepcopy(SYNTHS[name])})).synth


@cache
def sizes(name):
    """Numbers a frame of the controls that are in no unit, and all numbers of those that a preset moves."""
    synth = build_synth(name)
    made = {name: size for name, size in synth.control_sizes.items() if not has_unit(name)}
    return sum(made.values()), sum(size * synth.control_frames.get(name, 1) for name, size in made.items())


def config(synth, controller, loss="spectral"):
    width, moved = sizes(synth)
    text = yaml.safe_dump(CONTROLLERS[controller]).replace(
        "SIZE", str(moved if controller == "mapped" else width)
    )
    voice = {"synth": SYNTHS[synth], "controls": yaml.safe_load(text)}
    if synth == "string_of_target":
        voice["source"] = "target"
    voices = {"voice": voice}
    if synth == "transient":  # it works on the voices before it
        first = {"synth": SYNTHS["noise"], "controls": CONTROLLERS["heard"]}
        voices = {"first": first, "voice": voice}
    settings = {"voices": voices, "loss": LOSSES[loss], "sample_rate": RATE}
    return copy.deepcopy({"class_path": "drumblender.tasks.DrumTask", "init_args": settings})


def build(model):
    torch.manual_seed(0)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(SynthesisTask, "model", required=True)
    task = parser.instantiate(parser.parse_object({"model": model})).model
    task.log = lambda *args, **kwargs: None
    return task


@cache
def build_loss(name):
    """Built once: all that is asked of it is to be named in YAML, and it keeps nothing of a step."""
    return build(config("noise", "free", name)).loss


def can_play(synth, controller):
    if controller == "given":
        return synth == "modal"
    if controller == "mapped":
        return synth not in UNITS
    if controller == "harmonic_curves":
        return synth in ("harmonic", "mix", "guitar")
    return controller not in ("split", "heard_curves") or synth in LINEAR


def pitch_of(sound):
    """By autocorrelation, in Hz."""
    spectrum = torch.fft.rfft(sound - sound.mean(), 2 * len(sound)).abs() ** 2
    correlation = torch.fft.irfft(spectrum)[20:80]
    return RATE / (20 + correlation.argmax().item())


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("synth", SYNTHS)
def test_a_synth_and_a_controller_train_on_every_loss_or_say_why_not(synth, controller, unchecked):
    if not can_play(synth, controller):
        with pytest.raises(ValueError) as caught:
            build(config(synth, controller)).training_step(batch(), 0)
        line = one_line(caught.value)
        assert "\n" not in line and type(build_synth(synth)).__name__ in line and len(line) < 400, line
        return
    task = build(config(synth, controller))
    optimizer = torch.optim.SGD([*task.parameters(), torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    for name in LOSSES:
        task.loss = build_loss(name)
        optimizer.zero_grad()
        step = task.training_step(batch(), 0)
        assert step["prediction"].shape == (2, SAMPLES) and step["loss"].isfinite()
        if step["loss"].requires_grad:
            step["loss"].backward()
        grads = {key: value.grad for key, value in task.named_parameters()}
        assert all(value is None or value.isfinite().all() for value in grads.values()), name
        if controller != "given":
            assert any(value is not None and value.abs().max() > 0 for value in grads.values()), name
        optimizer.step()
    if synth in ("harmonic", "string", "mix", "guitar"):
        played = task.voices["voice"].controls(batch())
        key = "tone_f0_hz" if synth in ("mix", "guitar") else "f0_hz"
        assert torch.equal(played[key], batch()[key][..., None])
    if synth in ("harmonic", "string"):
        assert pitch_of(step["prediction"][0]) == pytest.approx(F0_HZ, rel=0.02)


def test_a_unit_that_nothing_brings_names_control_synth_and_both_remedies(unchecked):
    task = build(config("harmonic", "heard"))
    item = batch()
    del item["f0_hz"]
    with pytest.raises(ValueError, match=r"HarmonicSynth needs the control f0_hz.*batch brings it.*Range"):
        task(item)


@pytest.mark.parametrize(
    "loss, message",
    [
        ("auraloss.freq.MultiResolutionSTFTLoss", "MultiResolutionSTFTLoss cannot .*Channelled"),
        ("drumblender.losses.FeatureDifferenceLoss", "FeatureDifferenceLoss cannot compare"),
        ("drumblender.losses.ControlLoss", "ControlLoss compares controls .* and no sounds: take"),
        ("torch.nn.CrossEntropyLoss", None),
    ],
)
def test_a_loss_that_cannot_compare_sounds_is_named_in_one_line(loss, message, unchecked):
    model = config("noise", "free")
    model["init_args"]["loss"] = {"class_path": loss}
    task = build(model)
    if message is None:  # it compares what it is given, whatever that means
        assert task.training_step(batch(), 0)["loss"].isfinite()
        return
    with pytest.raises(ValueError, match=message) as caught:
        task.training_step(batch(), 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loss", ["spectral", "slope"])
@pytest.mark.parametrize("shape", [(2, 2, 512), (0, 512), (512,)])
def test_sound_with_channels_or_none_is_refused_with_its_shape(loss, shape, unchecked):
    module = build_loss(loss)
    with pytest.raises(ValueError, match=r"mono sounds \(batch, samples\), got"):
        module(torch.zeros(shape), torch.zeros(shape))
