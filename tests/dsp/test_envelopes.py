import math

import numpy as np
import pytest
import torch

from drumblender.dsp.envelopes import cubic_frames, interpolate_frames, upsample_frames


@pytest.mark.parametrize("num_frames, num_samples", [(5, 40), (5, 43), (9, 4), (1, 7)])
def test_center_reads_frames_at_the_middle_of_their_share(num_frames, num_samples, generator):
    frames = torch.randn(2, 3, num_frames, generator=generator, dtype=torch.float64)
    position = (np.arange(num_samples) + 0.5) * num_frames / num_samples - 0.5
    expected = [np.interp(position, np.arange(num_frames), row) for row in frames.flatten(0, 1).numpy()]
    samples = interpolate_frames(frames, num_samples)
    assert np.allclose(samples.flatten(0, 1).numpy(), expected, atol=1e-12)


def test_hop_puts_each_frame_on_its_hop():
    frames = torch.tensor([0.0, 3.0, -1.0, 4.0])
    samples = interpolate_frames(frames, 30, align="hop")
    assert torch.allclose(samples[::10], frames[:3])
    assert torch.allclose(samples[5::10], torch.tensor([1.5, 1.0, 1.5]))  # half way between
    assert samples[-1] == pytest.approx(-1 + 5 * 0.9)  # the last frame lies one past the end


@pytest.mark.parametrize("align", ["center", "hop"])
def test_one_frame_is_held(align):
    assert torch.equal(interpolate_frames(torch.tensor([[2.0]]), 5, align=align), torch.full((1, 5), 2.0))


@pytest.mark.parametrize("align", ["center", "hop"])
def test_gradients_match_finite_differences(align, generator):
    frames = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda f: interpolate_frames(f, 11, align=align), frames)


@pytest.mark.parametrize("num_frames, num_samples", [(0, 5), (5, 0)])
def test_nothing_to_interpolate_is_refused(num_frames, num_samples):
    with pytest.raises(ValueError, match="at least 1"):
        interpolate_frames(torch.zeros(1, num_frames), num_samples)


@pytest.mark.parametrize("num_frames, num_samples", [(5, 40), (5, 43), (9, 4), (1, 7), (3, 1)])
@pytest.mark.parametrize("align", ["center", "hop"])
def test_upsampling_reads_the_lines_of_interpolation(num_frames, num_samples, align, generator):
    frames = torch.randn(2, 3, num_frames, generator=generator, dtype=torch.float64)
    expected = interpolate_frames(frames, num_samples, align=align)
    assert torch.allclose(upsample_frames(frames, num_samples, align), expected, atol=1e-12)


def test_ends_put_the_outer_frames_on_the_outer_samples():
    samples = upsample_frames(torch.tensor([1.0, 2.0, 5.0]), 5, "ends")
    assert samples.tolist() == [1, 1.5, 2, 3.5, 5]


def test_windows_overlap_as_raised_cosines_and_hold_the_last_frame():
    samples = upsample_frames(torch.tensor([0.0, 1.0]).double(), 8, "windows")
    rise = (1 - torch.cos(torch.pi * torch.arange(4).double() / 4)) / 2
    assert torch.allclose(samples, torch.cat([rise, torch.ones(4).double()]))


@pytest.mark.parametrize(
    "name, upsampling",
    [
        ("resample_01_window", "windows"),
        ("resample_02_window_noend", "hop_windows"),
        ("resample_03_bilinear", "center"),
    ],
)
def test_published_upsampling_of_pitch(golden, name, upsampling):
    case = golden("pitch", name)
    frames = case["in_x"].requires_grad_()
    samples = upsample_frames(frames.mT, case.config["call"]["n_timesteps"], upsampling).mT
    samples.backward(case["cot_y"])
    case.check("out_y", samples)
    case.check("grad_x", frames.grad)


def test_published_upsampling_of_frames_with_any_axes_behind(golden):
    case = golden("pitch", "resample_06_bilinear_4d")
    frames = case["in_x"].requires_grad_()
    samples = interpolate_frames(frames.movedim(1, -1), case.config["call"]["n_timesteps"]).movedim(-1, 1)
    samples.backward(case["cot_y"])
    case.check("out_y", samples)
    case.check("grad_x", frames.grad)


@pytest.mark.parametrize(
    "system, name, size",
    [("guitar", "resample_linear", "size"), ("pitch", "resample_04_bilinear_noend", "n_timesteps")],
)
def test_published_upsampling_from_end_to_end(golden, system, name, size):
    case = golden(system, name)
    frames = case["in_x"].requires_grad_()
    found = upsample_frames(frames, case.config["call"][size], "ends")
    case.check("out_y", found)
    found.backward(case["cot_y"])
    case.check("grad_x", frames.grad)


def test_an_unknown_upsampling_is_refused(unchecked):
    with pytest.raises(ValueError, match="'cubic'"):
        upsample_frames(torch.zeros(1, 3), 5, "cubic")


def test_published_cubic_upsampling(golden):
    case = golden("pitch", "resample_05_bicubic_1d")
    frames = case["in_x"].requires_grad_()
    samples = cubic_frames(frames, case.config["call"]["n_timesteps"])
    samples.backward(case["cot_y"])
    case.check("out_y", samples)
    case.check("grad_x", frames.grad)


def keys_weight(distance, a=-0.75):
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@pytest.mark.parametrize("align", ["center", "ends"])
@pytest.mark.parametrize("num_frames, num_samples", [(8, 50), (1, 7), (2, 9), (7, 3), (5, 5), (3, 1)])
def test_cubic_curves_are_those_of_keys(generator, align, num_frames, num_samples):
    frames = torch.randn(2, 3, num_frames, generator=generator, dtype=torch.float64)
    expected = []
    for n in range(num_samples):
        if align == "ends":
            at = n * (num_frames - 1) / max(num_samples - 1, 1)
        else:
            at = (n + 0.5) * num_frames / num_samples - 0.5
        near = [math.floor(at) + step for step in (-1, 0, 1, 2)]
        parts = [keys_weight(at - one) * frames[..., min(max(one, 0), num_frames - 1)] for one in near]
        expected.append(sum(parts))
    torch.testing.assert_close(cubic_frames(frames, num_samples, align=align), torch.stack(expected, dim=-1))


def test_what_has_no_cubic_curve_is_refused(unchecked):
    with pytest.raises(ValueError, match="'hop'"):
        cubic_frames(torch.zeros(1, 3), 5, align="hop")
    with pytest.raises(ValueError, match="num_samples=0"):
        cubic_frames(torch.zeros(1, 3), 0)


@pytest.mark.parametrize("num_frames, hop", [(9, 8), (2, 5), (4, 1), (6, 13)])
def test_windows_from_hop_to_hop(generator, num_frames, hop):
    frames = torch.randn(2, num_frames, generator=generator, dtype=torch.float64)
    samples = upsample_frames(frames, (num_frames - 1) * hop, "hop_windows")
    for n in range((num_frames - 1) * hop):
        rise = (1 - math.cos(math.pi * (n % hop) / hop)) / 2
        expected = frames[:, n // hop] * (1 - rise) + frames[:, n // hop + 1] * rise
        torch.testing.assert_close(samples[:, n], expected)
