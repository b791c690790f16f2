import pytest
import torch

from drumblender.dsp.splines import _hermite_plain, _slope_matrix, spline_upsample


def test_equals_the_natural_spline_of_scipy(generator):
    interpolate = pytest.importorskip("scipy.interpolate")
    frames = torch.randn(2, 25, 3, generator=generator, dtype=torch.float64)
    times, grid = (
        torch.linspace(0, 1, 25, dtype=torch.float64),
        torch.linspace(0, 1, 1001, dtype=torch.float64),
    )
    expected = interpolate.CubicSpline(times, frames.numpy(), axis=1, bc_type="natural")(grid)
    assert torch.allclose(spline_upsample(frames, 1001), torch.from_numpy(expected), atol=1e-12)


def test_passes_through_every_frame(generator):
    frames = torch.randn(1, 9, 2, generator=generator)
    assert torch.allclose(spline_upsample(frames, 81)[:, ::10], frames, atol=1e-6)


def test_a_straight_line_stays_straight_and_one_frame_is_held():
    line = torch.linspace(0, 1, 6, dtype=torch.float64).reshape(1, 6, 1)
    assert torch.allclose(
        spline_upsample(line, 51)[0, :, 0], torch.linspace(0, 1, 51, dtype=torch.float64), atol=1e-14
    )
    assert (spline_upsample(torch.full((2, 1, 3), 0.3), 7) == 0.3).all()


def test_a_curve_can_be_had_in_blocks_and_holds_its_end(generator):
    frames = torch.randn(2, 8, 1, generator=generator)
    whole = spline_upsample(frames, 100)
    blocks = [spline_upsample(frames, 100, first, 32) for first in range(0, 128, 32)]
    joined = torch.cat(blocks, dim=1)
    assert torch.equal(joined[:, :100], whole)
    assert (joined[:, 100:] == frames[:, -1:]).all()


@pytest.mark.parametrize("first, count", [(0, 40), (13, 20)])
def test_the_compiled_curve_equals_the_formula_in_torch(first, count, generator):
    frames = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    slopes = _slope_matrix(7) @ frames
    plain = _hermite_plain(frames, slopes, first, 40, count)
    (expected,) = torch.autograd.grad((plain * weight).sum(), frames)
    compiled = spline_upsample(frames, 40, first, count)
    (slope,) = torch.autograd.grad((compiled * weight).sum(), frames)
    assert torch.allclose(compiled, plain, atol=1e-14) and torch.allclose(slope, expected, atol=1e-13)


def test_gradients_match_finite_differences(generator):
    frames = torch.randn(1, 5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda frames: spline_upsample(frames, 13), frames)


def test_half_precision_is_raised():
    assert spline_upsample(torch.ones(1, 4, 1, dtype=torch.bfloat16), 10).dtype == torch.float32


@pytest.mark.parametrize("frames, samples", [(0, 5), (3, 0)])
def test_an_empty_curve_is_refused(frames, samples):
    with pytest.raises(ValueError, match="frames and samples"):
        spline_upsample(torch.zeros(1, frames, 1), samples)


@pytest.mark.parametrize("case", range(7))
def test_golden_splines(case, golden):
    numbers = golden("strings", "spline")
    frames = numbers[f"in_{case}_x"].requires_grad_()
    curve = spline_upsample(frames, **numbers.config["calls"][case])
    (curve * numbers[f"in_{case}_weight"]).sum().backward()
    numbers.check(f"out_{case}", curve)
    numbers.check(f"grad_{case}_x", frames.grad)
