import mir_eval
import numpy as np
import pytest
import torch

from drumblender.losses import MeanDifference, MultiScaleSpectralLoss
from drumblender.metrics import (
    DecibelDistance,
    LossMetric,
    OctaveDifference,
    RatioLockedAccuracy,
    RawChromaAccuracy,
    RawPitchAccuracy,
    SpectralWasserstein,
    WaveformMSE,
)
from drumblender.metrics.pitch_ratios import (
    lowest_terms,
    mean_harmonic_number,
    ratio_histogram,
    rendered_power_db,
)


def over(metric, prediction, target):
    metric.update(prediction, target)
    return metric.compute().item()


def test_pitch_metrics_are_the_published_ones(golden):
    case = golden("pitch", "metrics_pitch")
    prediction, target = case["in_pred"][..., 0], case["in_target"][..., 0]
    for name, kind in (
        ("raw_pitch_accuracy", RawPitchAccuracy),
        ("raw_chroma_accuracy", RawChromaAccuracy),
        ("octave_difference", OctaveDifference),
    ):
        case.check(f"out_{name}", over(kind(), prediction, target))
        case.check(f"out_{name}_per_item", kind().per_item(prediction, target))


def test_audio_metrics_are_the_published_ones(golden):
    case = golden("pitch", "metrics_audio")
    prediction, target = case["in_x_hat"], case["in_x"]
    metric = DecibelDistance()
    case.check("out_log_spectral_distance", over(metric, prediction, target))
    case.check("out_lsd_per_item", metric.per_item(prediction, target))
    root = over(DecibelDistance(root=True), prediction[:1], target[:1])
    case.check("out_lsd_per_item", root**2, at=0, within="out")
    case.check("out_mse", over(WaveformMSE(), prediction, target))
    both = LossMetric(MultiScaleSpectralLoss(**case.parameters["mss"], frames="padded"))
    case.check("out_mss", over(both, prediction, target))
    partials = LossMetric(MeanDifference("L2", sort=True))
    case.check("out_pitch_mse", over(partials, case["in_pu"], case["in_pv"]))
    for p in (1, 2):
        metric = SpectralWasserstein(p, **case.parameters["transport"])
        case.check(f"out_wasserstein_{p}", over(metric, prediction, target))
        assert metric.per_item(prediction, target).isnan().tolist() == [False, False, True]  # a silent one


@pytest.mark.parametrize("p", [1, 1.5, 2])
@pytest.mark.parametrize("n_fft, hop_length, samples", [(64, 16, 200), (33, 10, 95), (512, 128, 1000)])
def test_spectral_wasserstein_by_its_formula(generator, p, n_fft, hop_length, samples):
    prediction, target = torch.randn(2, 3, samples, generator=generator, dtype=torch.float64)
    prediction[1, samples // 3 :], prediction[2], target[0, : samples // 2] = 0, 0, 0
    window = np.hanning(n_fft + 1)[:-1]
    distances, count = [], -(-samples // hop_length)
    for y, x in zip(prediction.numpy(), target.numpy(), strict=True):
        spectra = []
        for audio in (y, x):
            padded = np.concatenate([audio, np.zeros(n_fft)])
            frames = [
                padded[start : start + n_fft] * window for start in range(0, count * hop_length, hop_length)
            ]
            spectra.append(np.abs(np.fft.rfft(frames)) / np.sqrt(n_fft))
        distances.append(
            [transported(*pair, p) for pair in zip(*spectra, strict=True) if pair[0].sum() > 1e-7]
        )
    metric = SpectralWasserstein(p, n_fft, hop_length)
    expected = np.mean(sum(distances, []))
    assert over(metric, prediction, target) == pytest.approx(expected, rel=1e-6)  # its total is in float32
    assert metric.items[:2].tolist() == pytest.approx([np.mean(row) for row in distances[:2]], rel=1e-9)


def transported(y, x, p):
    """Masses between two spectra on one axis, level by level; what has no mass lies in the last bin."""
    place = np.linspace(0, 1, len(x))
    totals = [np.cumsum(side / max(side.sum(), 1e-7)) for side in (x, y)]
    levels = np.sort(np.concatenate(totals))
    at = [place[np.minimum(np.searchsorted(total, levels), len(x) - 1)] for total in totals]
    return np.sum(np.diff(levels, prepend=0) * np.abs(at[0] - at[1]) ** p)


@pytest.mark.parametrize("skip_unvoiced", [False, True])
def test_equals_mir_eval(generator, skip_unvoiced):
    target = 80 * 2 ** (4 * torch.rand(5, 40, generator=generator, dtype=torch.float64))
    cents = 1300 * torch.randn(5, 40, generator=generator, dtype=torch.float64)
    cents[:, ::3] /= 30
    prediction = target * 2 ** (cents / 1200)
    prediction[1, 5], target[2, 7] = 0.0, 0.0
    reference, estimate = target.flatten().numpy(), prediction.flatten().numpy()
    voiced = reference > 0 if skip_unvoiced else np.ones_like(reference, dtype=bool)
    truth = [
        count(
            voiced.astype(float),
            mir_eval.melody.hz2cents(reference),
            (estimate > 0).astype(float),
            mir_eval.melody.hz2cents(estimate),
        )
        for count in (mir_eval.melody.raw_pitch_accuracy, mir_eval.melody.raw_chroma_accuracy)
    ]
    for kind, expected in zip((RawPitchAccuracy, RawChromaAccuracy), truth, strict=True):
        assert over(kind(skip_unvoiced), prediction, target) == pytest.approx(expected, abs=1e-6)


def test_counts_octaves_below_as_positive():
    target = torch.tensor([[440.0, 440.0, 440.0, 440.0]])
    prediction = torch.tensor([[220.0, 110.0, 880.0, 450.0]])
    assert over(OctaveDifference(), prediction, target) == pytest.approx((1 + 2 - 1) / 4)


def test_batches_of_unequal_size_count_by_frames_or_as_published():
    right, wrong = torch.full((3, 4), 440.0), torch.full((1, 4), 330.0)
    for how, expected in (("frame", 0.75), ("item", 0.75), ("batch", 0.5)):
        metric = RawPitchAccuracy(over=how)
        metric.update(right, right)
        metric.update(wrong, wrong * 1.2)
        assert metric.compute().item() == pytest.approx(expected)


def test_histogram_names_what_a_pitch_is_instead():
    target = torch.full((1, 5), 300.0)
    prediction = torch.tensor([[300.0, 150.0, 100.0, 100.5, 388.0]])
    found = ratio_histogram(prediction, target)
    assert found == {"1/3": 0.4, "1/1": 0.2, "1/2": 0.2, "other": 0.2}
    assert over(RatioLockedAccuracy(), prediction, target) == pytest.approx(0.8)
    assert 0 < RatioLockedAccuracy().chance < 0.2
    assert ratio_histogram(torch.zeros(1, 1), torch.ones(1, 1)) == {"no pitch": 1.0}


def test_lowest_terms_finds_the_pitch_of_a_comb_of_multiples():
    amp = torch.zeros(1, 4, 12)
    amp[0, 0, [2, 5, 8]] = 1.0  # harmonics 3, 6, 9: three times the pitch
    amp[0, 1, [1, 2]] = 1.0  # 2 and 3 have nothing in common
    amp[0, 2, [3, 0]] = torch.tensor([1.0, 0.2])  # a fourth with little else
    f0_hz = torch.full((1, 4), 100.0)
    assert lowest_terms(f0_hz, amp).tolist() == [[300.0, 100.0, 400.0, 100.0]]


def test_power_of_partials():
    amp = torch.ones(1, 2, 4)
    assert mean_harmonic_number(amp) == 2.5
    assert rendered_power_db(amp, amp[..., :2]).item() == pytest.approx(3.0103, abs=1e-3)


def test_rejects(unchecked):
    with pytest.raises(ValueError, match="'song'"):
        RawPitchAccuracy(over="song")
    with pytest.raises(ValueError, match="differ"):
        RawPitchAccuracy().update(torch.ones(1, 2), torch.ones(1, 3))
    with pytest.raises(ValueError, match="largest=0"):
        RatioLockedAccuracy(largest=0)
    with pytest.raises(ValueError, match="stray"):
        lowest_terms(torch.ones(1, 1), torch.ones(1, 1, 2), stray=1.0)
