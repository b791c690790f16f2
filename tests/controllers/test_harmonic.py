import re

import pytest
import torch
from made_up import SynthOf

from drumblender.controllers import ExpSigmoidHead, HarmonicControls
from drumblender.controllers.harmonic import rms_of
from drumblender.dsp.stft_noise import mean_square_of_bands
from drumblender.dsp.units import gain_to_db
from drumblender.encoders import ControlGRU, ControlTransformer, SoundStreamEncoder
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.nets.exp_sigmoid import exp_sigmoid
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth, ModalSynth

PUBLISHED = {
    "amplitude": "sum",
    "nyquist": "mask",
    "noise": "sigmoid",
    "noise_bias": 0.0,
    "noise_follows_loudness": False,
}
SIZES = {  # hidden, layers, harmonics, bands, weights
    "tiny": (512, 1, 101, 65, 877_734),
    "standard": (1024, 1, 101, 129, 3_393_766),
    "deep": (1024, 3, 101, 129, 15_988_966),
    "extra_deep": (1536, 3, 151, 129, 35_856_664),
}


def served(num_harmonics=20, num_bands=9, encoder=None, **settings):
    torch.manual_seed(0)
    controller = HarmonicControls(encoder or ControlGRU(16), **settings)
    sizes = {"harmonic_f0_hz": 1, "harmonic_amp": num_harmonics}
    controller.serve(SynthOf(**sizes, **({"noise_magnitude": num_bands} if num_bands else {})))
    return controller


def batch_of(f0_hz=196.0, loudness_db=-20.0, frames=101):
    return {"f0_hz": torch.full((1, frames), f0_hz), "loudness_db": torch.full((1, frames), loudness_db)}


def play(controls, num_samples=16000):
    harmonic = HarmonicSynth(controls["harmonic_amp"].shape[-1], f0_upsampling="hop", amp_upsampling="hop")
    bands = controls["noise_magnitude"].shape[-1]
    mix = MixSynth({"harmonic": harmonic, "noise": FilteredNoiseSynth(bands)})
    return mix(controls, num_samples)


@pytest.mark.parametrize("name", SIZES)
def test_has_the_published_number_of_weights(name):
    hidden, layers, harmonics, bands, weights = SIZES[name]
    with torch.device("meta"):
        controller = HarmonicControls(ControlGRU(hidden, layers, 0.1), **(PUBLISHED | {"noise_bias": 0.0}))
        controller.serve(SynthOf(amp=harmonics, magnitude=bands))
        without = HarmonicControls(ControlGRU(hidden, layers), spare_outputs=bands)
        without.serve(HarmonicSynth(harmonics))
    for counted in (controller, without):
        assert sum(weight.numel() for weight in counted.parameters()) == weights


@pytest.mark.parametrize("encoder", [ControlGRU, ControlTransformer])
def test_harmonics_and_noise_together_are_as_loud_as_asked(encoder):
    controller = served(100, 65, encoder(16), noise_bias=0.0)
    sound = play(controller(batch_of()))
    assert gain_to_db(sound.square().mean().sqrt()).item() == pytest.approx(-20, abs=0.3)


def test_the_harmonics_alone_are_as_loud_as_asked():
    controls = served(100, 65, amplitude="rms")(batch_of())
    controls["noise_magnitude"] = torch.zeros_like(controls["noise_magnitude"])
    assert gain_to_db(play(controls).square().mean().sqrt()).item() == pytest.approx(-20, abs=0.05)


def test_renormalising_keeps_the_share_of_silent_harmonics():
    kept, lost = (
        served(100, 9, amplitude="sum", nyquist=rule)(batch_of()) for rule in ("renormalise", "mask")
    )
    audible = int(8000 // 196)
    assert kept["harmonic_amp"][0, 0, :audible].sum().item() == pytest.approx(0.1, rel=1e-4)
    assert kept["harmonic_amp"][0, 0, audible:].abs().max() == 0
    assert lost["harmonic_amp"][0, 0, :audible].sum() < 0.05


def test_noise_follows_the_loudness():
    controller = served(amplitude="sum")
    loud, soft = (controller(batch_of(loudness_db=level)) for level in (-20.0, -80.0))
    assert soft["noise_magnitude"].max() < 2e-3 * loud["noise_magnitude"].max()
    assert loud["noise_magnitude"].max() < 0.001  # an untrained sound is no noise


def test_silence_is_finite_and_trains():
    controller = served()
    controls = controller(batch_of(loudness_db=-80.0, f0_hz=9000.0))  # no harmonic is below Nyquist
    loss = sum(value.square().sum() for value in controls.values())
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in controller.parameters())


def test_refuses_synths_that_it_cannot_play():
    with pytest.raises(ValueError, match="not those of ModalSynth"):
        HarmonicControls(ControlGRU(8)).serve(ModalSynth(num_modes=3))
    with pytest.raises(ValueError, match="no loudness_db"):
        served()({"f0_hz": torch.ones(1, 4)})


def test_exp_sigmoid_ranges_from_the_floor_to_two():
    ends = exp_sigmoid(torch.tensor([-100.0, 0.0, 100.0]))
    assert ends.tolist() == pytest.approx([1e-7, 2 * 0.5**2.302585, 2 + 1e-7])


def test_the_head_starts_where_it_is_told_and_leaves_units_alone(generator):
    head = ExpSigmoidHead(bias={"magnitude": -5.0}, scale=0.0)
    head.build(8, {"amp": 3, "magnitude": 4, "held": 2}, {"held": 5})
    controls = head(torch.randn(2, 6, 8, generator=generator))
    assert {name: tuple(value.shape) for name, value in controls.items()} == {
        "amp": (2, 6, 3),
        "magnitude": (2, 6, 4),
        "held": (2, 5, 2),
    }
    assert controls["magnitude"].max() < 1e-4 < controls["amp"].min()
    assert head.makes("amp") and not head.makes("f0_hz")
    with pytest.raises(ValueError, match="'level'"):
        ExpSigmoidHead(bias={"level": 1.0}).build(8, {"amp": 3})


def published(case, prefix="param_", **sizes):
    """The model of a golden file: controller with its weights, both synths, loss."""
    config = case.config
    decoder = config.get("decoder") or config["init"]["decoder"]["init_args"]
    loss = dict(config.get("loss") or config["init"]["loss_fn"]["init_args"])
    has_noise = "init" not in config or config["init"]["noise_synth"] is not None
    encoder = ControlGRU(decoder["hidden_size"], decoder["num_layers"], decoder["dropout"])
    spare = 0 if has_noise else decoder["n_noise_bands"]
    controller = HarmonicControls(encoder, **PUBLISHED, spare_outputs=spare)
    harmonics, bands = decoder["n_harmonics"], decoder["n_noise_bands"]
    sizes = {"f0_hz": 1, "amp": harmonics} | ({"magnitude": bands} if has_noise else {})
    controller.serve(SynthOf(**sizes))
    controller.load_state_dict(
        {
            ("encoder." if ".weight_" in key or ".bias_" in key else "")
            + key.removeprefix(prefix).replace("mlp.", "layer."): value
            for key, value in case.items()
            if key.startswith(prefix)
        }
    )
    noise = FilteredNoiseSynth(bands, pad_last=False) if has_noise else None
    loss["w_log_mag"] = loss.pop("mag_loss_weight")
    return (
        controller.eval(),
        HarmonicSynth(harmonics),
        noise,
        MultiResolutionSTFTLoss(**loss, floor="magnitude"),
    )


def sound_of(parts, case, noise_key="in_noise"):
    controller, harmonic, noise, _ = parts
    fields = {
        "f0_hz": case["in_f0"][..., 0],
        "loudness_db": (20 * case["in_loudness"][..., 0].double().log10()).float(),
    }
    controls = controller(fields)
    num_samples = case["in_target_audio"].shape[1]
    sound = harmonic(controls, num_samples)
    if noise is not None:
        sound = sound + noise(controls, num_samples, noise=case[noise_key])
    return sound, controls


@pytest.mark.parametrize("name", ["01_one_layer", "02_three_layers", "03_no_noise"])
def test_golden_decoder_sound_loss_and_gradients(golden, name):
    case = golden("guitar", f"timbre_{name}")
    parts = published(case)
    sound, controls = sound_of(parts, case)
    case.check("out_harm_amps", controls["amp"])
    if "magnitude" in controls:
        case.check("out_noise_mags", controls["magnitude"])
    case.check("out_audio", sound)
    loss = parts[3](sound, case["in_target_audio"])
    case.check("out_loss", loss)
    loss.backward()
    for key, weight in parts[0].named_parameters():
        theirs = "grad_param_" + key.removeprefix("encoder.").replace("layer.", "mlp.")
        case.check(theirs, weight.grad)


def test_golden_training(golden):
    case = golden("guitar", "training_trajectory")
    parts = published(case)
    controller = parts[0]
    said = re.search(r"Adam lr=(\S+), gradient norm clipped to (\S+)", case.config["optimizer"])
    lr, most = map(float, said.groups())
    optimizer = torch.optim.Adam(controller.parameters(), lr=lr)
    for step in range(case.config["steps"]):
        optimizer.zero_grad()
        loss = parts[3](sound_of(parts, case, f"in_noise_{step}")[0], case["in_target_audio"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(controller.parameters(), most)
        optimizer.step()
        case.check("out_losses", loss, at=step)
        case.check("out_grad_norms", norm, at=step)
    for key, weight in controller.state_dict().items():
        case.check("out_final_" + key.removeprefix("encoder.").replace("layer.", "mlp."), weight)


def test_an_encoder_of_other_frames_than_the_curves_is_told():
    controls = HarmonicControls(SoundStreamEncoder(2, 6, strides=(4, 8)))
    controls.serve(HarmonicSynth(num_harmonics=4))
    curves = {"f0_hz": torch.full((1, 11), 220.0), "loudness_db": torch.zeros(1, 11)}
    with pytest.raises(ValueError, match="SoundStreamEncoder gives 50 frames and HarmonicControls needs 11"):
        controls(curves | {"audio": torch.zeros(1, 1600)})


@pytest.mark.parametrize("bands", [2, 9, 65, 66, 513])
@pytest.mark.parametrize("half", [False, True])
def test_the_level_of_bands_is_that_of_their_sum_in_half_precision_too(bands, half, generator):
    amp, magnitude = torch.rand(3, 5, 20, generator=generator), torch.rand(3, 5, bands, generator=generator)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = rms_of(amp, 1e-3 * magnitude)
    power = amp.double().square().sum(dim=-1) / 2 + mean_square_of_bands(1e-3 * magnitude.double())
    assert torch.allclose(found[..., 0].double(), power.sqrt(), rtol=1e-6)


def test_above_nyquist_the_noise_has_all_of_the_loudness():
    controller = served(noise_bias=0.0)
    controls = controller(batch_of(f0_hz=9000.0))
    controls["noise_magnitude"].sum().backward()
    assert not controls["harmonic_amp"].any()
    assert controller.layer.weight.grad.isfinite().all()
    level = mean_square_of_bands(controls["noise_magnitude"].detach()).sqrt()
    assert torch.allclose(level, torch.tensor(0.1), rtol=1e-4)
