import math

import pytest
import torch

from drumblender.dsp.spectral_distance import log_spectral_distance
from drumblender.metrics import LogSpectralDistance, MFCCError


def check_against_golden(file, metric):
    x, y = file["in_x"][:, 0], file["in_y"][:, 0]
    file.check("out_batch1", metric(x[:2], y[:2]))
    file.check("out_batch2", metric(x[2:], y[2:]))
    file.check("out_compute", metric.compute())
    file.check("out_count", metric.count)


@pytest.mark.parametrize("case", [0, 1])
@pytest.mark.parametrize("metric", [LogSpectralDistance, MFCCError])
def test_equals_the_published_metric(golden, metric, case):
    file = golden("drums", f"{metric.__name__}_{case}")
    check_against_golden(file, metric(**file.config["init"]))


@pytest.mark.parametrize("n_fft", [256, 8 * 17])  # MKL's and pocketfft's sizes
def test_log_distance_equals_the_formula(n_fft, generator):
    x, y = (torch.randn(2, 3000, generator=generator).double() for _ in range(2))
    y[1, 1000:] = 0
    exact = log_spectral_distance(x, y, n_fft=n_fft, hop_length=50)
    fast = log_spectral_distance(x.float(), y.float(), n_fft=n_fft, hop_length=50)
    assert torch.allclose(fast.double(), exact, rtol=1e-4)


def test_twice_the_level_is_six_decibels_of_log_distance(generator):
    x = torch.randn(1, 4000, generator=generator)
    distance = LogSpectralDistance(512, 64, eps=1e-20)(x, 2 * x).item()
    assert distance * 10 / math.log(10) == pytest.approx(6.0206, rel=1e-4)


def test_log_distance_of_what_is_not_finite_is_not_finite(generator):
    x = torch.randn(2, 2000, generator=generator)
    y = x.clone()
    y[0, 1000] = math.nan
    distance = LogSpectralDistance(256, 64).per_item(x, y)
    assert distance[0].isnan() and distance[1] == 0


def test_the_floor_of_the_batch_couples_items_and_that_of_the_item_does_not(generator):
    loud = torch.randn(1, 4000, generator=generator)
    quiet = [1e-5 * torch.randn(1, 4000, generator=generator) for _ in range(2)]
    together = torch.cat([loud, quiet[0]]), torch.cat([loud, quiet[1]])
    for floor, coupled in (("batch", True), ("item", False)):
        metric = MFCCError(16000, 13, 400, 100, floor=floor)
        alone = metric.per_item(*quiet)[0].item()
        in_batch = metric.per_item(*together)[1].item()
        assert (in_batch == pytest.approx(alone, rel=1e-4)) != coupled


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: LogSpectralDistance(0), "n_fft=0"),
        (lambda: LogSpectralDistance(eps=0.0), "eps"),
        (lambda: MFCCError(floor="all"), "'all'"),
        (lambda: MFCCError(hop_length=0), "hop_length=0"),
    ],
)
def test_wrong_settings_are_refused(unchecked, build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_more_coefficients_than_bands_are_refused():
    with pytest.raises(ValueError, match="129"):
        MFCCError(n_mfcc=129).per_item(torch.zeros(1, 4000), torch.zeros(1, 4000))
