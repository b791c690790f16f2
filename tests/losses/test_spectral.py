import pytest
import torch
from references import reference

from drumblender.losses import FirstOrderDifferenceLoss, MultiResolutionSTFTLoss
from drumblender.losses.spectral import a_weight

SMALL = {"fft_sizes": (256, 512), "hop_sizes": (30, 60), "win_lengths": (150, 300)}
VARIANTS = {
    "default": {},
    "linear": {"w_lin_mag": 2.0, "w_log_mag": 0.5},
    "invariant": {"scale_invariance": True},
    "weighted": {"scale_invariance": True, "perceptual_weighting": True, "sample_rate": 16000},
    "per item": {"convergence": "item"},
    "added": {"floor": "magnitude", "eps": 1e-7},
}


@pytest.fixture
def sounds(generator):
    decay = torch.linspace(1, 0, 1600) ** 2
    return torch.randn(3, 1600, generator=generator) * decay, torch.randn(
        3, 1600, generator=generator
    ) * decay


@pytest.mark.parametrize("name", ["default", "sc", "log"])
def test_equals_auraloss(golden, name):
    file = golden("drums", f"MultiResolutionSTFTLoss_{name}")
    prediction = file["in_pred"][:, 0].requires_grad_()
    loss = MultiResolutionSTFTLoss(**file.config["init"])(prediction, file["in_target"][:, 0])
    (loss * float(file["in_ct_loss"])).backward()
    file.check("out_loss", loss)
    file.check("grad_pred", prediction.grad[:, None])


@pytest.mark.parametrize("name", ["published", "plain", "si"])
def test_equals_the_published_weighted_and_invariant_loss(golden, name):
    file = golden("strings", "mrstft")
    prediction, target = file["in_pred"][:, 0].requires_grad_(), file["in_target"][:, 0]
    loss = MultiResolutionSTFTLoss(**file.config["inits"][name])
    value = loss(prediction, target)
    value.backward()
    file.check(f"out_{name}", value)
    file.check(f"out_{name}_per_resolution", loss.per_resolution(prediction, target))
    file.check(f"grad_{name}_pred", prediction.grad[:, None])


@pytest.mark.parametrize("name", ["01_tiny", "02_standard_channel"])
def test_equals_the_loss_with_eps_beside_the_magnitude(golden, name):
    file = golden("guitar", f"mrstft_{name}")
    init = {key: value for key, value in file.config["init"].items() if key != "mag_loss_weight"}
    prediction = file["in_x"].requires_grad_()
    values = {
        part: MultiResolutionSTFTLoss(**init, floor="magnitude", w_sc=sc, w_log_mag=log)(
            prediction, file["in_y"]
        )
        for part, sc, log in (("total", 1.0, 1.0), ("sc", 1.0, 0.0), ("log", 0.0, 1.0))
    }
    for part, value in values.items():
        file.check(f"out_{part}", value)
    values["total"].backward()
    # A magnitude that just reaches the target's may pass it in float32, which turns its log term around.
    file.check("grad_x", prediction.grad)


def test_equals_auraloss_on_its_own_sounds(sounds):
    auraloss = reference("auraloss")
    prediction, target = sounds
    sizes = {key: list(value) for key, value in SMALL.items()}
    theirs = auraloss.freq.MultiResolutionSTFTLoss(**sizes, w_lin_mag=0.7)(
        prediction[:, None], target[:, None]
    )
    ours = MultiResolutionSTFTLoss(**SMALL, w_lin_mag=0.7)(prediction, target)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_compiled_and_plain_paths_agree(sounds, variant):
    loss = MultiResolutionSTFTLoss(**SMALL, **variant)
    prediction, target = (sound.requires_grad_() for sound in sounds)
    fused = loss(prediction, target.detach())
    plain = loss(prediction, target)  # a target with a gradient takes the formula
    grads = [torch.autograd.grad(value, prediction)[0] for value in (fused, plain)]
    assert fused.item() == pytest.approx(plain.item(), rel=1e-5)
    assert (grads[0] - grads[1]).abs().max() < 1e-4 * grads[1].abs().max()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_equal_sounds_cost_nothing(sounds, variant):
    loss = MultiResolutionSTFTLoss(**SMALL, **variant)
    prediction = sounds[0].clone().requires_grad_()
    value = loss(prediction, sounds[0])
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_silence_has_a_finite_loss_and_gradient(sounds, variant):
    loss = MultiResolutionSTFTLoss(**SMALL, **variant)
    silence = torch.zeros_like(sounds[0])
    for prediction, target in ((silence, sounds[0]), (sounds[0], silence), (silence, silence)):
        prediction = prediction.clone().requires_grad_()
        value = loss(prediction, target)
        value.backward()
        assert value.isfinite() and prediction.grad.isfinite().all()


@pytest.mark.parametrize("weighted", [False, True])
def test_scale_invariance_ignores_the_gain_of_each_target(sounds, weighted):
    prediction, target = sounds
    gains = torch.tensor([[0.25], [1.0], [16.0]])
    loss = MultiResolutionSTFTLoss(
        **SMALL, scale_invariance=True, perceptual_weighting=weighted, sample_rate=16000, eps=1e-14
    )
    assert loss(prediction, gains * target).item() == pytest.approx(loss(prediction, target).item(), rel=1e-4)
    plain = MultiResolutionSTFTLoss(**SMALL)
    assert plain(prediction, gains * target).item() != pytest.approx(
        plain(prediction, target).item(), rel=0.1
    )


def test_convergence_per_item_does_not_depend_on_the_batch(sounds):
    prediction, target = sounds
    target = target * torch.tensor([[1.0], [0.1], [3.0]])
    items = MultiResolutionSTFTLoss(**SMALL, convergence="item")
    alone = torch.stack([items(prediction[i : i + 1], target[i : i + 1]) for i in range(3)])
    assert items(prediction, target).item() == pytest.approx(alone.mean().item(), rel=1e-5)
    assert MultiResolutionSTFTLoss(**SMALL)(prediction, target).item() != pytest.approx(
        alone.mean().item(), rel=1e-3
    )


def test_a_weighting_comes_before_the_spectra(sounds):
    weighted = MultiResolutionSTFTLoss(**SMALL, perceptual_weighting=True, sample_rate=16000)
    plain = MultiResolutionSTFTLoss(**SMALL)
    by_hand = plain(*(a_weight(sound, 16000) for sound in sounds))
    assert weighted(*sounds).item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_half_precision_changes_nothing_but_the_input(sounds):
    loss = MultiResolutionSTFTLoss(**SMALL)
    halves = [sound.bfloat16() for sound in sounds]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(*halves)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(*(half.float() for half in halves)).item(), rel=1e-6)


def test_checkpoints_hold_nothing_of_the_loss():
    assert not MultiResolutionSTFTLoss().state_dict()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_difference_loss_equals_the_published_one(golden, reduction):
    file = golden("drums", f"FirstOrderDifferenceLoss_{reduction}")
    prediction = file["in_pred"][:, 0].requires_grad_()
    loss = FirstOrderDifferenceLoss(reduction)(prediction, file["in_target"][:, 0])
    file.check("out_loss", loss[:, None] if loss.ndim else loss)
    (loss * torch.as_tensor(file["in_ct_loss"]).reshape(loss.shape)).sum().backward()
    file.check("grad_pred", prediction.grad[:, None])


def test_difference_loss_does_not_hear_an_offset(sounds):
    assert FirstOrderDifferenceLoss()(sounds[0] + 0.5, sounds[0]).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"fft_sizes": (512,)}, "equal lists"),
        ({"win_lengths": (600, 1200, 1240)}, "1240"),
        ({"hop_sizes": (120, 0, 50)}, "hop 0"),
        ({"perceptual_weighting": True}, "sample_rate"),
        ({"eps": 0.0}, "eps"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiResolutionSTFTLoss(**arguments)


def test_sounds_of_different_length_are_refused(unchecked):
    with pytest.raises(ValueError, match="1600"):
        MultiResolutionSTFTLoss(**SMALL)(torch.zeros(1, 1600), torch.zeros(1, 1500))
    with pytest.raises(ValueError, match="2 samples"):
        FirstOrderDifferenceLoss()(torch.zeros(1, 1), torch.zeros(1, 1))


@pytest.mark.parametrize("samples", [1200, 1201])
def test_odd_ffts_count_the_frames_that_there_are(samples, generator):
    auraloss = reference("auraloss")
    x, y = torch.randn(2, 1, samples, generator=generator)
    sizes = [1023], [120], [600]
    expected = auraloss.freq.MultiResolutionSTFTLoss(*sizes, w_sc=0)(x[None], y[None])
    assert MultiResolutionSTFTLoss(*sizes, w_sc=0)(x, y).item() == pytest.approx(expected.item(), rel=1e-5)
