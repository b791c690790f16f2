from functools import partial

import pytest
import torch
from golden_nets import load

from drumblender.controllers import FreeControls, ModeGains

SIZES = {"freq": 3, "amp": 2}


@pytest.mark.parametrize("case", ["DummyParameterEncoder", "NoiseParameters"])
def test_hands_out_its_parameters_as_the_original_does(golden, case):
    numbers = golden("drums", case)
    expected = numbers["out_params"].reshape(-1, *numbers["out_params"].shape[-2:])
    free = FreeControls(expected.shape[-2], bounded=False).hold({"bands": expected.shape[-1]})
    with torch.no_grad():
        free.params["bands"].copy_(numbers["param_flat"].reshape(expected.shape))
    controls = free.values(1)["bands"]
    numbers.check("out_params", controls.reshape(numbers["out_params"].shape))
    (controls * numbers["in_ct_params"]).sum().backward()
    numbers.check("grad_param_flat", free.params["bands"].grad.flatten())


def test_gains_match_the_original(golden):
    numbers = golden("drums", "ModalAmpParameters")
    gains = load(ModeGains(**numbers.config["init"]), numbers)
    params = numbers["in_params"].requires_grad_()
    names = ("freq_rad", "amp", "phase_rad")
    controls = gains(dict(zip(names, params.transpose(2, 3).unbind(1), strict=True)))
    out = torch.stack([controls[name] for name in names], dim=1).transpose(2, 3)
    numbers.check("out_params", out)
    (out * numbers["in_ct_params"]).sum().backward()
    numbers.check("grad_params", params.grad)
    numbers.check("grad_param_flat", gains.params.grad)


def test_controls_have_the_frames_they_are_asked_for():
    free = FreeControls(num_frames=5).hold(SIZES, {"amp": 1})
    assert {name: tuple(value.shape) for name, value in free.values(4).items()} == {
        "freq": (4, 5, 3),
        "amp": (4, 1, 2),
    }


@pytest.mark.parametrize("init", ["uniform", "normal"])
def test_a_seed_gives_the_same_start(init):
    first, second = (
        FreeControls(init=init, generator=torch.Generator().manual_seed(1)).hold(SIZES).values()
        for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in SIZES)


def test_starts_as_told(generator):
    plain = partial(FreeControls, bounded=False)
    assert (plain(init="constant", scale=0.25).hold(SIZES).values()["freq"] == 0.25).all()
    drawn = plain(init="normal", scale=0.002, generator=generator).hold({"bands": 4000}).values()["bands"]
    assert drawn.std().item() == pytest.approx(0.002, rel=0.05)
    uniform = plain(generator=generator).hold({"bands": 4000}).values()["bands"]
    assert 0 <= uniform.min() < 0.01 and 0.99 < uniform.max() < 1


def test_bounded_controls_stay_between_0_and_1_however_far_they_are_pushed():
    free = FreeControls(init="normal").hold(SIZES)
    with torch.no_grad():
        free.params["amp"] += 8
    assert all(((value > 0) & (value < 1)).all() for value in free.values(2).values())


def test_sounds_with_controls_of_their_own_come_all_or_none():
    free = FreeControls(num_sounds=3).hold(SIZES)
    assert free.values()["amp"].shape == (3, 1, 2)
    with pytest.raises(ValueError, match="3 sounds, asked for 2"):
        free.values(2)


def test_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="num_frames=0"):
        FreeControls(num_frames=0)


def test_gains_start_at_one_and_take_fewer_modes():
    controls = {"amp": torch.rand(2, 5, 3), "freq_rad": torch.rand(2, 5, 3)}
    played = ModeGains(8)(controls)
    assert torch.equal(played["amp"], controls["amp"]) and played["freq_rad"] is controls["freq_rad"]


def test_gains_refuse_more_modes_than_they_have():
    with pytest.raises(ValueError, match="3 modes but has gains for 2"):
        ModeGains(2)({"amp": torch.rand(1, 1, 3)})
    with pytest.raises(ValueError, match="named amp"):
        ModeGains(2)({"magnitudes": torch.rand(1, 1, 2)})
