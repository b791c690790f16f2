"""The published pitch system put together from our parts: its numbers, in all seven configurations."""

import pytest
import torch

from drumblender.controllers.pitch_head import PitchHead
from drumblender.dsp.units import Range
from drumblender.encoders.pitch_cnn import PitchCNN
from drumblender.features import CQT, STFT
from drumblender.losses import MultiScaleSpectralLoss, SpectralTransportLoss, WeightedLoss
from drumblender.metrics import DecibelDistance, RawPitchAccuracy
from drumblender.synths import HarmonicSynth

OUT, GRAD = 3e-3, 4e-2  # the tolerances of the published numbers, float32 against float64
SIZES = (2048, 1024, 512, 256, 128, 64)


def published_loss(
    n_fft: int, cutoff: str | None, scale: str, range_hz: tuple[float, float], weight: float
) -> WeightedLoss:
    """Transport with a share of the multi-scale loss; without a cutoff each spectrum has a mass of 1."""
    scales = (512,) if weight == 0.1 else SIZES
    transport = SpectralTransportLoss(
        STFT(n_fft, window="flattop", frames="padded"),
        balanced=cutoff is None,
        cutoff=cutoff,
        scale=scale,
        log_range_hz=range_hz,
    )
    parts = {"transport": transport, "spectrum": MultiScaleSpectralLoss(scales, frames="padded")}
    return WeightedLoss(parts, {"spectrum": weight})


def play(case):
    """Pitch, amplitudes and sound of the case's network, and the leaves that gradients are compared at."""
    init = case.config["init"]
    net = init["encoder"]["init_args"]
    cqt = {
        k: v for k, v in init["feature_extractor"]["init_args"].items() if k in ("bins_per_semitone", "fmin")
    }
    encoder = PitchCNN(CQT(**cqt), channels=net["n_chan_layers"], kernel_size=net["kernel_size"]).eval()
    freqs_hz = encoder.cqt.freqs_hz
    head = PitchHead(
        Range(freqs_hz[0].item(), freqs_hz[-1].item(), log=True),
        temperature=init["temperature"],
        num_bins=net["output_size"],
    )
    head.build(encoder.num_features, {"f0_hz": 1, "amp": net["n_modes"]}, {})
    state = {key.removeprefix("param_"): value for key, value in case.items() if key.startswith("param_")}
    encoder.net.load_state_dict({key: state[key] for key in encoder.net.state_dict()})
    head.load_state_dict(
        {
            "layers.f0_hz.0.weight": state["linear.frequency.0.weight"],
            "layers.amp.weight": state["linear.weights.0.weight"],
            "layers.amp.bias": state["linear.weights.0.bias"],
        }
    )
    synth = HarmonicSynth(
        net["n_modes"],
        init["sample_rate"],
        f0_upsampling="center",
        amp_upsampling="windows",
        fade=True,
        roll_off_db=6.0 if init["decoder"]["init_args"]["apply_roll_off"] else 0.0,
    )
    controls = head(encoder(case["in_x"]))
    leaves = {
        "linear.frequency.0.weight": head.layers["f0_hz"][0].weight,
        "linear.weights.0.bias": head.layers["amp"].bias,
        "layernorm.weight": encoder.net.layernorm.weight,
        "conv1.0.weight": encoder.net.conv1[0].weight,
    }
    return controls, synth(controls, case["in_x"].shape[1]), leaves, tuple(freqs_hz[[0, -1]].tolist())


def losses(range_hz: tuple[float, float]) -> dict[str, torch.nn.Module]:
    paper = "clip", "linear", range_hz
    return {
        "task_MSS-Lin": MultiScaleSpectralLoss(frames="padded"),
        "task_MSS-LogLin": MultiScaleSpectralLoss(frames="padded", logmag_weight=1.0),
        "task_SOT-2048": published_loss(2048, *paper, 0.05),
        "task_SOT-2048-SS": published_loss(2048, *paper, 0.1),
        "task_SOT-512": published_loss(512, *paper, 0.05),
        "task_SOT-512-LogF": published_loss(512, *paper, 0.05),  # the flag was lost: linear positions
        # The term alone, with the flag where it was meant to be.
        "task_SOT-512-LogF-intended": published_loss(512, "clip", "log", range_hz, 0.0),
        "task_SOT-NoCut": published_loss(2048, None, "linear", range_hz, 0.05),
    }


@pytest.mark.parametrize("name", losses((30.0, 8000.0)))
def test_configuration_gives_its_published_numbers(golden, name):
    case = golden("pitch", name)
    controls, audio, leaves, range_hz = play(case)
    torch.testing.assert_close(controls["f0_hz"], case["out_pitch_hz"], rtol=1e-4, atol=0)
    torch.testing.assert_close(controls["amp"], case["out_weights"], rtol=1e-4, atol=1e-6)
    loss = losses(range_hz)[name](audio, case["in_x"])
    tolerance = 5e-2 if name == "task_MSS-LogLin" else OUT
    assert loss.item() == pytest.approx(case["out_loss"].item(), rel=tolerance)
    grads = torch.autograd.grad(loss, list(leaves.values()))
    for key, grad in zip(leaves, grads, strict=True):
        truths = [case[k] for k in (f"grad_param_{key}", f"ref64_grad_param_{key}") if k in case]
        if truths:
            allowed = 0.3 if name.endswith("intended") else GRAD
            assert min((grad - truth).norm() / truth.norm() for truth in truths) < allowed, key


def test_metrics_of_the_system_are_the_published_ones(golden):
    case = golden("pitch", "task_SOT-2048")
    controls, audio, *_ = play(case)
    metric = DecibelDistance()
    metric.update(audio.detach(), case["in_x"])
    truths = [
        case[key] for key in ("out_metric_log_spectral_distance", "ref64_out_metric_log_spectral_distance")
    ]
    assert min(abs(metric.compute().item() / truth.item() - 1) for truth in truths) < 3e-3
    accuracy = RawPitchAccuracy()
    accuracy.update(controls["f0_hz"][..., 0].detach(), case["in_frequency"].expand(-1, 16))
    assert accuracy.compute().item() == pytest.approx(case["out_metric_raw_pitch_accuracy"].item())
