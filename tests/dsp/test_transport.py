import numpy as np
import ot
import pytest
import scipy.stats
import sot.losses
import torch

from drumblender.dsp.transport import (
    merged_quantiles,
    quantile_function,
    wasserstein_1d,
    wasserstein_plain,
)

CASES = (
    "transport_01_p1_sorted",
    "transport_02_p2_unsorted_nm",
    "transport_03_p15_limit_mass_above_1",
    "transport_04_uniform_weights",
    "transport_06_nosort_p2_mass_below_1",
    "transport_07_nolimit_mass_above_1",
)


def points(rows: int, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions in any order, and masses that sum to 1."""
    values = torch.rand(rows, size, generator=generator, dtype=torch.float64)
    weights = torch.rand(rows, size, generator=generator, dtype=torch.float64)
    return values, weights / weights.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_the_published_ones(golden, name):
    case = golden("pitch", name)
    inputs = [value.requires_grad_() for value in case.inputs().values()]
    called = dict(case.config["call"])
    cutoff = "drop" if called.pop("limit_quantile_range", False) else None
    distance = wasserstein_1d(*inputs, cutoff=cutoff, **called)
    case.check("out_distance", distance)
    distance.backward(case["cot_distance"])
    for key, value in zip(case.inputs(), inputs, strict=True):
        case.check(f"grad_{key}", value.grad)


def test_quantiles_are_the_published_ones(golden):
    case = golden("pitch", "quantile_function")
    case.check("out_quantiles", quantile_function(*(case[f"in_{key}"] for key in ("qs", "cws", "xs"))))
    case = golden("pitch", "transport_05_quantiles")
    found = merged_quantiles(*case.inputs().values())
    names = ("u_quantiles", "v_quantiles", "qs", "u_cumweights", "v_cumweights")
    for name, value in zip(names, found, strict=True):
        case.check(f"out_{name}", value)
    case = golden("pitch", "sot_06_return_quantiles_3d")
    masses = [case[f"in_{key}"].flatten(0, 1) for key in "xy"]
    places = torch.linspace(0, 1, case.config["init"]["fixed_x"])[None]
    found = merged_quantiles(places, places, *(mass / mass.sum(dim=1, keepdim=True) for mass in masses))
    for name, value in zip(names, found, strict=True):
        case.check(f"out_{name}", value.reshape(case[f"out_{name}"].shape))


def test_spectra_on_axes_of_their_own_are_as_far_apart_as_published(golden):
    case = golden("pitch", "sot_05_positions_3d_unsorted")
    prediction = case["in_y"].requires_grad_()
    masses = [value.flatten(0, 1) for value in (case["in_x"], prediction)]
    masses = [mass / mass.sum(dim=1, keepdim=True) for mass in masses]
    places = [case[f"in_{key}_pos"].flatten(0, 1) for key in "xy"]
    loss = wasserstein_1d(*places, *masses, p=case.config["init"]["p"]).mean()
    case.check("out_loss", loss)
    loss.backward(torch.as_tensor(case["cot_loss"]))
    case.check("grad_y", prediction.grad)


@pytest.mark.parametrize("p", [1, 1.3, 2, 3])
def test_agrees_with_python_optimal_transport(generator, p):
    u, a = points(4, 13, generator)
    v, b = points(4, 8, generator)
    expected = [ot.wasserstein_1d(*(x.numpy() for x in row), p=p) for row in zip(u, v, a, b, strict=True)]
    found = wasserstein_1d(u, v, a, b, p=p)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert torch.allclose(wasserstein_1d(u, v, a, b, p=p, root=True) ** p, found)


def test_agrees_with_scipy(generator):
    u, a = points(3, 21, generator)
    v, b = points(3, 5, generator)
    rows = zip(u, v, a, b, strict=True)
    expected = [scipy.stats.wasserstein_distance(*(x.numpy() for x in row)) for row in rows]
    torch.testing.assert_close(wasserstein_1d(u, v, a, b), torch.tensor(expected, dtype=torch.float64))


def test_agrees_with_the_authors_package(generator):
    u, a = points(3, 21, generator)
    v, b = points(3, 21, generator)
    for limited in (False, True):
        theirs = [x.clone().requires_grad_() for x in (u, v, a, 1.5 * b)]
        ours = [x.detach().clone().requires_grad_() for x in theirs]
        expected = sot.losses.wasserstein_1d(*theirs, p=2, limit_quantile_range=limited)
        found = wasserstein_1d(*ours, p=2, cutoff="drop" if limited else None)
        torch.testing.assert_close(found, expected)
        found.sum().backward()
        expected.sum().backward()
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("cutoff", [None, "clip", "drop"])
@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_merge_and_sort_give_the_same(generator, p, cutoff):
    u, a = points(6, 30, generator)
    v, b = points(6, 17, generator)
    u, v = u.sort().values, v.sort().values
    b = b * torch.linspace(0.5, 1.5, 6, dtype=torch.float64)[:, None]
    ours = [x.clone().requires_grad_() for x in (u, v, a, b)]
    plain = [x.clone().requires_grad_() for x in (u, v, a, b)]
    found, expected = wasserstein_1d(*ours, p=p, cutoff=cutoff), wasserstein_plain(*plain, p=p, cutoff=cutoff)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    for x, y in zip(ours, plain, strict=True):
        torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("cutoff", [None, "clip"])
@pytest.mark.parametrize("p", [1, 1.7, 2])
def test_gradients_match_finite_differences(generator, p, cutoff):
    u, a = points(2, 7, generator)
    v, b = points(2, 5, generator)
    inputs = [x.requires_grad_() for x in (u, v, a.detach(), 1.3 * b.detach())]
    torch.autograd.gradcheck(lambda *x: wasserstein_1d(*x, p=p, cutoff=cutoff), inputs)


def test_moving_all_points_costs_the_way():
    u = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    distance = wasserstein_1d(u, torch.tensor([[1.5, 2.5, 3.5]]), p=2)
    assert distance.item() == pytest.approx(0.25)
    distance.backward()
    torch.testing.assert_close(u.grad, torch.full((1, 3), -1 / 3))


def test_equal_distributions_pull_nowhere():
    weights = torch.tensor([[0.5, 0.0, 0.25, 0.25]], requires_grad=True)
    places = torch.arange(4.0)[None]
    distance = wasserstein_1d(places, places, weights, weights.detach(), p=2, root=True)
    distance.sum().backward()
    assert distance.item() == 0 and not weights.grad.any()


def test_mass_can_grow_where_there_is_none():
    """A bin without mass has the derivative of adding some there, not at the bin before it."""
    weights = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    places = torch.tensor([[0.0, 1.0, 5.0]], dtype=torch.float64)
    other = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    wasserstein_1d(places, places, weights, other, p=1).sum().backward()
    step = torch.tensor([[0.0, 0.0, 1e-6]], dtype=torch.float64)
    moved = wasserstein_1d(places, places, weights.detach() + step, other) - 5.0
    assert weights.grad[0, 2].item() == pytest.approx(moved.item() / 1e-6, abs=1e-6)


def test_clipping_is_exact_where_dropping_loses_the_last_interval():
    """Quirk 9 of the published code: a sum of 1 that is rounded up takes its interval with it."""
    third = torch.tensor([[1 / 3, 1 / 3, 1 / 3 + 1e-6]])  # a little above 1
    u, v = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.0, 1.0, 4.0]])
    weights = torch.tensor([[1 / 3, 1 / 3, 1.0]])
    clipped = wasserstein_1d(u, v, third, weights, p=2, cutoff="clip")
    assert clipped.item() == pytest.approx(4 / 3, rel=1e-5)
    assert wasserstein_1d(u, v, third, weights, p=2, cutoff="drop").item() == pytest.approx(0, abs=1e-5)


def test_one_row_of_positions_serves_a_batch(generator):
    u, a = points(5, 9, generator)
    v, b = points(5, 9, generator)
    found = wasserstein_1d(u[:1], v[:1], a, b)
    torch.testing.assert_close(found, wasserstein_1d(u[:1].expand(5, -1), v[:1].expand(5, -1), a, b))


def test_float32_has_the_gradient_of_float64(generator):
    """Sums run in double precision: bins that add less than a rounding error keep their place."""
    u, a = points(2, 400, generator)
    a = a**12
    a, b = a / a.sum(dim=1, keepdim=True), points(2, 400, generator)[1]
    grads = []
    for dtype in (torch.float32, torch.float64):
        weights = a.float().to(dtype).requires_grad_()
        wasserstein_1d(u.to(dtype), u.to(dtype), weights, b.float().to(dtype), p=2).sum().backward()
        grads.append(weights.grad.double())
    assert (grads[0] - grads[1]).norm() < 1e-6 * grads[1].norm()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.5}, "p=0.5"),
        ({"p": float("nan")}, "p=nan"),
        ({"cutoff": "half"}, "'half'"),
        ({"u_weights": torch.tensor([[0.5, -0.5]])}, "negative"),
        ({"u_weights": torch.tensor([[0.5, torch.nan]])}, "finite"),
        ({"u_weights": torch.ones(1, 3)}, "2 positions"),
        ({"u_values": torch.tensor([[0.0, torch.nan]])}, "finite"),
        ({"u_values": torch.ones(3, 2), "v_values": torch.ones(2, 2)}, "Rows"),
    ],
)
def test_rejects(unchecked, change, message):
    given = {"u_values": torch.tensor([[0.0, 1.0]]), "v_values": torch.tensor([[0.0, 2.0]])} | change
    with pytest.raises(ValueError, match=message):
        wasserstein_1d(**given)


def test_numbers_of_points_may_differ_and_be_one():
    one = torch.tensor([[2.0]])
    many = torch.from_numpy(np.linspace(0, 1, 5, dtype=np.float32))[None]
    assert wasserstein_1d(one, many).item() == pytest.approx(1.5)
