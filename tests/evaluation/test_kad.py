import pytest
import torch

from drumblender.evaluation import kad
from drumblender.evaluation.fad import frechet_audio_distance
from drumblender.evaluation.kad import kernel_audio_distance, median_distance


def plain_kad(x, y, bandwidth):
    """The formula as it is written, pair by pair."""
    gamma = 1 / (2 * bandwidth**2 + 1e-8)

    def mean(rows, others, same):
        kernels = [
            torch.exp(-gamma * (a - b).square().sum()).item()
            for i, a in enumerate(rows)
            for j, b in enumerate(others)
            if not (same and i == j)
        ]
        return sum(kernels) / len(kernels)

    return 100 * (mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False))


def sets(generator, items=(13, 9), dimensions=5, shift=0.5):
    x, y = (torch.randn(count, dimensions, generator=generator) for count in items)
    return x, 1.3 * y + shift


def test_equals_the_formula_pair_by_pair(generator):
    x, y = sets(generator)
    for bandwidth_of, rows in (("prediction", y), ("target", x)):
        found = kernel_audio_distance(x, y, bandwidth_of=bandwidth_of)
        assert found.bandwidth == pytest.approx(torch.pdist(rows).median().item(), rel=1e-6)
        assert found.value == pytest.approx(plain_kad(x.double(), y.double(), found.bandwidth), rel=1e-9)


@pytest.mark.parametrize("block", [1, 4, 7, 1024])
def test_blocks_change_nothing(generator, monkeypatch, block):
    x, y = sets(generator)
    whole = kernel_audio_distance(x, y, resamples=20)
    monkeypatch.setattr(kad, "_BLOCK", block)
    cut = kernel_audio_distance(x, y, resamples=20)
    assert cut.value == pytest.approx(whole.value, rel=1e-12)
    assert (cut.low, cut.high) == pytest.approx((whole.low, whole.high), rel=1e-9)


@pytest.mark.parametrize("items", [2, 3, 4, 50, 51])
def test_the_median_is_the_lower_middle_of_all_pairs(generator, items):
    rows = torch.randn(items, 3, generator=generator)
    assert median_distance(rows) == pytest.approx(torch.pdist(rows).median().item(), rel=1e-6)


def test_offsets_far_from_zero_lose_no_digits(generator):
    x, y = (rows.double() for rows in sets(generator))
    near, far = kernel_audio_distance(x, y).value, kernel_audio_distance(x + 1e5, y + 1e5).value
    assert far == pytest.approx(near, rel=1e-6)


def test_grows_with_the_distance_of_the_sets(generator):
    x = torch.randn(40, 8, generator=generator)
    y = torch.randn(40, 8, generator=generator)
    values = [kernel_audio_distance(x, y + shift).value for shift in (0, 0.3, 0.6, 1.2)]
    assert values == sorted(values) and abs(values[0]) < 1 < values[-1]


def test_near_copies_are_nearer_than_two_draws():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 4, generator=generator)
    assert kernel_audio_distance(x, x + 1e-4).value < 0


def test_the_interval_holds_the_value_of_many_draws():
    """Of 60 draws of sets of 30, most intervals hold the distance of two large sets."""
    generator = torch.Generator().manual_seed(0)
    true = kernel_audio_distance(*sets(generator, (1500, 1500)), bandwidth_of="target").value
    held = 0
    for _ in range(60):
        x, y = sets(generator, (40, 40))
        found = kernel_audio_distance(x, y, bandwidth_of="target", resamples=200, generator=generator)
        held += found.low <= true <= found.high
    assert 49 <= held <= 60  # 95 %, give or take three deviations


def test_resamples_of_both_sets_are_independent(generator):
    """Else pairs of an item with itself, which near copies have between the sets, would count double."""
    x = torch.randn(60, 4, generator=generator)
    found = kernel_audio_distance(x, x + 1e-3, resamples=200)
    assert found.low < found.value < found.high


def test_a_seed_gives_the_same_interval(generator):
    x, y = sets(generator)
    first, second = (kernel_audio_distance(x, y, resamples=50) for _ in range(2))
    assert first == second and first.low < first.value < first.high


@pytest.mark.parametrize(
    "x, y, settings, message",
    [
        (torch.ones(1, 2), torch.eye(2), {}, "target needs two items"),
        (torch.eye(2), torch.eye(3), {}, "2 and 3 dimensions"),
        (torch.eye(2), torch.full((2, 2), float("nan")), {}, "prediction are NaN"),
        (torch.eye(2), torch.ones(3, 2), {}, "one embedding"),
        (torch.eye(2), torch.eye(2), {"confidence": 1.0}, "confidence=1.0"),
    ],
)
def test_refuses_what_has_no_distance(x, y, settings, message):
    with pytest.raises(ValueError, match=message):
        kernel_audio_distance(x, y, **settings)


def test_frechet_equals_the_formula_with_a_matrix_root(generator):
    import numpy as np
    from scipy.linalg import sqrtm

    x, y = (rows.double() for rows in sets(generator, (40, 30)))
    root = sqrtm(np.cov(x.T.numpy()) @ np.cov(y.T.numpy())).real
    apart = (x.mean(0) - y.mean(0)).square().sum().item()
    expected = apart + np.trace(np.cov(x.T.numpy())) + np.trace(np.cov(y.T.numpy())) - 2 * np.trace(root)
    assert frechet_audio_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_fewer_items_than_dimensions_is_that_of_their_subspace(generator):
    x, y = sets(generator, (6, 7), dimensions=4)
    turned = torch.linalg.qr(torch.randn(20, 20, generator=generator)).Q[:4]
    assert frechet_audio_distance(x @ turned, y @ turned) == pytest.approx(
        frechet_audio_distance(x, y), rel=1e-4
    )
    assert frechet_audio_distance(x, x) == pytest.approx(0, abs=1e-6)
