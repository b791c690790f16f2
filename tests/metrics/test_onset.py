import pytest
import torch

from drumblender.metrics import OnsetTimeError, SpectralFluxOnsetError

RATE = 16000


def hit(at: int, generator, num_samples=4000):
    sound = torch.zeros(1, num_samples)
    length = num_samples - at
    sound[0, at:] = torch.randn(length, generator=generator) * torch.exp(-torch.arange(length) / 400)
    return sound


@pytest.mark.parametrize("case", [0, 1])
def test_equals_the_published_metric(golden, case):
    file = golden("drums", f"SpectralFluxOnsetError_{case}")
    metric = SpectralFluxOnsetError(**file.config["init"])
    x, y = file["in_x"][:, 0], file["in_y"][:, 0]
    file.check("out_batch1", metric(x[:2], y[:2]))
    file.check("out_batch2", metric(x[2:], y[2:]))
    file.check("out_compute", metric.compute())
    file.check("out_count", metric.count)


def test_a_click_rises_over_time_and_not_over_frequency():
    click, silence = torch.zeros(1, 4000), torch.zeros(1, 4000)
    click[0, 2000] = 1
    over_time = SpectralFluxOnsetError(256, 64, axis="time")(click, silence)
    over_frequency = SpectralFluxOnsetError(256, 64, axis="frequency")(click, silence)
    assert over_time > 1e6 * over_frequency


def test_flux_over_time_of_a_click_by_hand():
    click = torch.zeros(1, 1024)
    click[0, 512] = 1  # its magnitude in a frame is the window's value there: 0, 1/2, 1, 1/2, 0
    flux = SpectralFluxOnsetError(256, 64, axis="time").per_item(click, torch.zeros(1, 1024))
    assert flux.item() == pytest.approx(129 * (0.5**2 + 0.5**2) / 16, rel=1e-5)  # 16 steps between 17 frames


@pytest.mark.parametrize("late", [0, 320, 1600])
def test_onset_time_error_is_the_delay(late, generator):
    first = hit(800, generator)
    second = torch.roll(first, late, dims=1)
    error = OnsetTimeError(RATE).per_item(first, second)
    assert error.item() == pytest.approx(1000 * late / RATE, abs=1000 * 32 / RATE)


def test_onset_time_error_does_not_hear_the_level(generator):
    first, second = hit(800, generator), hit(1200, generator)
    error = OnsetTimeError(RATE)
    assert error.per_item(first, second) == error.per_item(first, 0.01 * second)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SpectralFluxOnsetError(axis="space"),
        lambda: SpectralFluxOnsetError(0),
        lambda: OnsetTimeError(0),
    ],
)
def test_wrong_settings_are_refused(unchecked, build):
    with pytest.raises(ValueError, match="space|=0"):
        build()


@pytest.mark.parametrize(
    "metric", [OnsetTimeError(RATE, hop_length=32), SpectralFluxOnsetError(64, 32, axis="time")]
)
def test_a_sound_of_one_frame_is_refused(metric):
    with pytest.raises(ValueError, match="31 samples.*hop_length=32"):
        metric.per_item(torch.ones(1, 31), torch.ones(1, 31))
    assert metric.per_item(torch.ones(1, 32), torch.ones(1, 32)).isfinite().all()
