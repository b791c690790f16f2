import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.nets.pitch_cnn import ExpSigmoid, PitchConv, ToeplitzLinear, soft_argmax


def test_toeplitz_layer_is_the_correlation_it_says_and_shifts():
    torch.manual_seed(0)
    layer = ToeplitzLinear(7, 4)
    x = torch.randn(3, 7)
    w = layer.weight[0, 0]
    by_hand = torch.stack([sum(w[i - j + 3] * x[:, i] for i in range(7)) for j in range(4)], dim=1)
    torch.testing.assert_close(layer(x), by_hand)
    padded = torch.zeros(1, 7)
    padded[0, 2] = 1.0
    assert torch.allclose(layer(padded)[0, 0:3], layer(padded.roll(1, dims=1))[0, 1:4])


@pytest.mark.parametrize(
    "name",
    [
        "encoder_01_small",
        "encoder_02_inharmonic_gain",
        "encoder_03_relu_no_residual",
        "encoder_04_masked_softargmax",
    ],
)
def test_body_pitch_and_amplitudes_are_the_published_ones(golden, name):
    case = golden("pitch", name)
    init = case.parameters["encoder"] | case.config["init"]
    channels = init["n_chan_layers"]
    body = PitchConv(
        init["n_bins_in"],
        channels if len(channels) == 5 else [*channels, 1],
        init["kernel_size"],
        init["n_prefilt_layers"],
        init["residual"],
        init["activation_fn"],
        init["a_lrelu"],
        num_output_layers=init["num_output_layers"],
    ).eval()
    state = {key.removeprefix("param_"): value for key, value in case.items() if key.startswith("param_")}
    body.load_state_dict({key: state[key] for key in body.state_dict()})
    x = case["in_x"].requires_grad_()
    features = body(x[:, 0])
    pitches = [value for key, value in state.items() if key.startswith("linear.frequency")]
    logits = []
    for weight in pitches:
        layer = ToeplitzLinear(body.num_features, case["out_probabilities"].shape[-1])
        layer.load_state_dict({"weight": weight})
        logits.append(layer(features))
    logits = torch.stack(logits, dim=1)
    raw = logits[:, 0] if init["harmonic"] else logits
    case.check("out_raw_frequency", raw)
    if "in_mask" in case:  # as published: masked bins keep a logit of about 0
        logits = logits * case["in_mask"] + case.parameters["masked_logit"]
    unit, shares = soft_argmax(logits, case.config["predict_pitch"]["temperature"])
    case.check("out_pitch_unit", unit)
    case.check("out_probabilities", shares)
    squash = ExpSigmoid()
    amp = squash(features @ state["linear.weights.0.weight"].T + state["linear.weights.0.bias"])
    case.check("out_raw_weights", amp)
    loss = (unit * case["cot_pitch_unit"]).sum() + (amp * case["cot_raw_weights"]).sum()
    if "cot_raw_gain" in case:
        gain = squash(features @ state["linear.gain.0.weight"].T + state["linear.gain.0.bias"])
        loss = loss + (gain[:, 0] * case["cot_raw_gain"]).sum()
    loss.backward()
    case.check("grad_x", x.grad)
    for key, weight in body.named_parameters():
        case.check(f"grad_param_{key}", weight.grad)


def test_exponential_sigmoid_is_the_published_one_and_inverts(golden):
    case = golden("pitch", "exp_sigmoid")
    squash, x = ExpSigmoid(**case.config["call"]), case["in_x"].requires_grad_()
    y = squash(x)
    case.check("out_y", y)
    y.backward(case["cot_y"])
    case.check("grad_x", x.grad)
    levels = torch.tensor([0.01, 0.6, 1.9])
    torch.testing.assert_close(squash(squash.inverse(levels)), levels)


def test_frequencies_of_a_softmax_are_the_published_ones(golden):
    case = golden("pitch", "frequencies_softmax")
    said, x = case.config["call"], case["in_x"].requires_grad_()
    place, _ = soft_argmax(x.unflatten(-1, (-1, said["depth"])))
    freq_hz = Range(said["hz_min"], said["hz_max"], log=True).denormalize(place)
    freq_hz.backward(case["cot_hz"])
    case.check("out_hz", freq_hz)
    case.check("grad_x", x.grad)


@pytest.mark.parametrize("change", [{"channels": (4, 4)}, {"kernel_size": 4}, {"num_bins": 0}])
def test_rejects(change):
    with pytest.raises(ValueError):
        PitchConv(**change)
