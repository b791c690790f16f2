import math

import pytest
import torch

from drumblender.dsp.all_pole import final_state
from drumblender.dsp.strings import (
    _taps_plain,
    constrain_excitation_coefficients,
    constrain_loop_coefficients,
    fractional_delay_taps,
    inverse_karplus_strong,
    karplus_strong,
    state_size,
)


@pytest.fixture
def string(generator):
    """Excitation, a gliding period and a moving loop filter in float64, and the delay that they need."""

    def draw(batch=2, samples=300, taps=3, max_delay=40):
        period = 20 + 15 * torch.rand(batch, 1, generator=generator, dtype=torch.float64)
        period = period + torch.linspace(0, 3, samples, dtype=torch.float64).sin()
        raw = torch.randn(batch, samples, taps, generator=generator, dtype=torch.float64)
        loop = constrain_loop_coefficients(raw, torch.full((1, 1, 1), 3.0, dtype=torch.float64))
        excitation = torch.randn(batch, samples, generator=generator, dtype=torch.float64)
        return excitation, period, loop, max_delay

    return draw


def test_an_impulse_comes_back_every_period_at_the_loop_gain():
    excitation = torch.zeros(1, 1001, dtype=torch.float64)
    excitation[:, 0] = 1
    gain = 1e-3 ** (1 / 10)  # 60 dB in ten periods
    loop = torch.tensor([gain, 0.0, 0.0], dtype=torch.float64).expand(1, 1001, 3)
    signal = karplus_strong(excitation, torch.full((1, 1001), 100.0, dtype=torch.float64), loop, 200)
    assert torch.allclose(signal[0, ::100], gain ** torch.arange(11, dtype=torch.float64), rtol=1e-10)
    assert 20 * math.log10(signal[0, 1000]) == pytest.approx(-60, abs=1e-6)
    signal[0, ::100] = 0
    assert signal.abs().max() < 1e-6  # the delay never quite reaches its next whole number


def test_the_loop_is_one_period_long_at_the_pitch():
    period, loop = 47.3, torch.tensor([0.2, 0.5, 0.25], dtype=torch.float64)
    lag, taps = fractional_delay_taps(
        torch.full((1, 1), period, dtype=torch.float64), loop.reshape(1, 1, 3), 100
    )
    omega = 2 * math.pi / period
    times = lag.double() + torch.arange(4)
    turned = torch.complex(torch.cos(omega * times), -torch.sin(omega * times))
    around = -(taps[0] * turned).sum()  # response of the whole loop at the pitch
    cents = 1200 / math.log(2) * around.angle() / (2 * math.pi)
    assert abs(cents) < 0.2  # what the interpolation adds by itself


def test_the_inverse_undoes_the_string(string):
    excitation, period, loop, delay = string()
    signal = karplus_strong(excitation, period, loop, delay)
    assert torch.allclose(inverse_karplus_strong(signal, period, loop, delay), excitation, atol=1e-13)
    back = karplus_strong(inverse_karplus_strong(excitation, period, loop, delay), period, loop, delay)
    assert torch.allclose(back, excitation, atol=1e-13)


def test_equals_the_formula_sample_by_sample(string):
    excitation, period, loop, delay = string(batch=1, samples=120)
    lag, taps = fractional_delay_taps(period, loop, delay)
    signal = []
    for n in range(120):
        past = [n - int(lag[0, n]) - k for k in range(4)]
        fed = sum(taps[0, n, k] * signal[i] for k, i in enumerate(past) if i >= 0)
        signal.append(excitation[0, n] - fed)
    assert torch.allclose(torch.stack(signal), karplus_strong(excitation, period, loop, delay)[0], atol=1e-14)


@pytest.mark.parametrize("op", [karplus_strong, inverse_karplus_strong])
def test_gradients_match_finite_differences(op, string):
    excitation, period, loop, delay = string(batch=2, samples=60, max_delay=40)
    period = period.mean(dim=1, keepdim=True).floor().expand(-1, 60) - 10 + 0.37  # away from whole delays
    period = period.clone()
    zi = torch.randn(2, state_size(delay, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs = [tensor.requires_grad_() for tensor in (excitation, period, loop.clone(), zi)]
    assert torch.autograd.gradcheck(lambda x, p, b, z: op(x, p, b, delay, z), inputs, atol=1e-6)


def test_the_compiled_taps_equal_the_formula_in_torch(string):
    _, period, loop, delay = string(taps=5)
    weight = torch.randn(2, 300, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    results = []
    for op in (fractional_delay_taps, _taps_plain):
        leaves = [period.clone().requires_grad_(), loop.clone().requires_grad_()]
        lag, taps = op(*leaves, delay)
        (taps * weight).sum().backward()
        results.append([lag, taps.detach(), *(leaf.grad for leaf in leaves)])
    assert torch.equal(results[0][0], results[1][0])
    for compiled, plain in zip(results[0][1:], results[1][1:], strict=True):
        assert torch.allclose(compiled, plain, atol=1e-11)


def test_a_clamped_delay_passes_no_gradient_to_the_period():
    period = torch.tensor([[0.9, 20.3, 90.0]], dtype=torch.float64, requires_grad=True)
    loop = torch.tensor([0.0, 0.0, 0.9], dtype=torch.float64).expand(1, 3, 3)  # delays by two samples
    lag, taps = fractional_delay_taps(period, loop, 40)
    taps.square().sum().backward()
    assert lag[0, 0] == 1 and lag[0, 2] == 40
    assert period.grad[0, 0] == 0 and period.grad[0, 2] == 0 and period.grad[0, 1] != 0


@pytest.mark.parametrize("block", [1, 7, 64, 299])
@pytest.mark.parametrize("op, remembers_input", [(karplus_strong, False), (inverse_karplus_strong, True)])
def test_blocks_of_any_size_join_to_the_whole(op, remembers_input, block, string):
    x, period, loop, delay = string()
    whole = op(x, period, loop, delay)
    state, parts = torch.zeros(2, state_size(delay, 2), dtype=torch.float64), []
    for part in zip(x.split(block, 1), period.split(block, 1), loop.split(block, 1), strict=True):
        parts.append(op(*part, delay, state))
        state = final_state(state, part[0] if remembers_input else parts[-1])
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_float32_sound_is_computed_in_float64(string):
    excitation, period, loop, delay = (
        part.float() if torch.is_tensor(part) else part for part in string(samples=20000)
    )
    single = karplus_strong(excitation, period, loop, delay)
    double = karplus_strong(excitation.double(), period.double(), loop.double(), delay)
    assert single.dtype == torch.float32
    assert torch.equal(single, double.float())


def test_items_of_a_batch_are_played_alone(string):
    excitation, period, loop, delay = string(batch=3)
    together = karplus_strong(excitation, period, loop, delay)
    for item in range(3):
        alone = karplus_strong(excitation[[item]], period[[item]], loop[[item]], delay)
        assert torch.equal(alone[0], together[item])


@pytest.mark.parametrize("wrong", [0.0, -3.0, float("nan"), float("inf")])
def test_an_impossible_period_is_named(wrong, string):
    excitation, period, loop, delay = string()
    period[1, 17] = wrong
    with pytest.raises(ValueError, match="item 1 at sample 17"):
        karplus_strong(excitation, period, loop, delay)


def test_a_line_without_delay_is_refused(string):
    with pytest.raises(ValueError, match="max_delay=0"):
        karplus_strong(*string()[:3], 0)


def test_constraints_keep_the_loop_stable(generator):
    raw, gain = (torch.randn(4, 16, n, generator=generator) * 5 for n in (3, 1))
    loop = constrain_loop_coefficients(raw, gain)
    assert (loop > 0).all() and torch.allclose(loop.sum(dim=-1, keepdim=True), gain.sigmoid())
    poles = constrain_excitation_coefficients(raw)
    assert poles.shape == (4, 16, 2) and torch.allclose(poles.sum(dim=-1), raw[..., 0].sigmoid())


@pytest.mark.parametrize("name", ["taps_a", "taps_b"])
def test_golden_taps(name, golden):
    numbers = golden("strings", name)
    given = numbers.inputs()
    leaves = [given[key].requires_grad_() for key in ("period", "loop_coefficients")]
    lag, taps = fractional_delay_taps(*leaves, **numbers.config["call"])
    (taps * given["weight"]).sum().backward()
    numbers.check("out_lag", lag)
    numbers.check("out_taps", taps)
    numbers.check("grad_period", leaves[0].grad)
    numbers.check("grad_loop_coefficients", leaves[1].grad)


@pytest.mark.parametrize(
    "name, op, signal, out",
    [
        ("forward_a", karplus_strong, "excitation", "signal"),
        ("forward_b", karplus_strong, "excitation", "signal"),
        ("clamp", karplus_strong, "excitation", "signal"),
        ("inverse_a", inverse_karplus_strong, "signal", "excitation"),
        ("inverse_b", inverse_karplus_strong, "signal", "excitation"),
    ],
)
def test_golden_strings(name, op, signal, out, golden):
    numbers = golden("strings", name)
    given = numbers.inputs()
    leaves = {key: given[key].requires_grad_() for key in (signal, "period", "loop_coefficients")}
    result = op(*leaves.values(), **numbers.config["call"])
    (result * given["weight"]).sum().backward()
    numbers.check(f"out_{out}", result)
    for key, leaf in leaves.items():
        numbers.check(f"grad_{key}", leaf.grad)


def test_golden_constraints(golden):
    numbers = golden("strings", "constraints")
    leaves = {key: value.requires_grad_() for key, value in numbers.inputs().items() if "raw" in key}
    loop = constrain_loop_coefficients(leaves["raw_coefficients"], leaves["raw_gain"])
    poles = constrain_excitation_coefficients(leaves["raw_excitation"])
    ((loop * numbers["in_weight_loop"]).sum() + (poles * numbers["in_weight_excitation"]).sum()).backward()
    numbers.check("out_loop", loop)
    numbers.check("out_excitation", poles)
    for key, leaf in leaves.items():
        numbers.check(f"grad_{key}", leaf.grad)


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (0.9, 0.99)])
def test_the_compiled_constraint_equals_the_formula(low, high, generator):
    raw, gain = (torch.randn(2, 5, n, generator=generator, dtype=torch.float64) for n in (3, 1))
    weights = raw.sigmoid()
    expected = weights / weights.sum(dim=-1, keepdim=True) * (low + (high - low) * gain.sigmoid())
    assert torch.allclose(constrain_loop_coefficients(raw, gain, low, high), expected, atol=1e-14)
    leaves = [raw.requires_grad_(), gain.requires_grad_()]
    assert torch.autograd.gradcheck(lambda r, g: constrain_loop_coefficients(r, g, low, high), leaves)


def test_coefficients_of_no_sounds_are_none_and_so_are_their_slopes():
    raw, raw_gain = torch.zeros(0, 5, 3, requires_grad=True), torch.zeros(0, 5, 1, requires_grad=True)
    constrain_loop_coefficients(raw, raw_gain).sum().backward()
    assert raw.grad.shape == raw.shape and raw_gain.grad.shape == raw_gain.shape
