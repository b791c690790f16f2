import math

import pytest
import torch
from torch import nn

from drumblender.features import CQT, STFT, Mel
from drumblender.losses import (
    CumulativeEnergyLoss,
    KLDivergenceLoss,
    SlicedTransportLoss,
    SpectralTransportLoss,
)
from drumblender.losses.distributions import kl_divergence
from drumblender.losses.mapped import frequency_positions

RATE = 16000
LOSSES = {
    "transport": SpectralTransportLoss(),
    "log": SpectralTransportLoss(STFT(512, window="flattop"), scale="log"),
    "balanced": SpectralTransportLoss(balanced=True, cutoff=None, p=1, weigh="energy"),
    "root": SpectralTransportLoss(root=True),
    "time": SpectralTransportLoss(axis="time", weigh="energy"),
    "mel": SpectralTransportLoss(Mel()),
    "cqt": SpectralTransportLoss(CQT(), scale="log"),
    "resolutions": SpectralTransportLoss([STFT(2048), STFT(512)]),
    "sliced": SlicedTransportLoss(STFT(512), directions=4),
    "cumulative": CumulativeEnergyLoss(),
    "kl": KLDivergenceLoss(),
}


class Own(nn.Module):
    """A map of a user: samples as bins of frames."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.freqs_hz = torch.arange(bins).float()

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return audio.unflatten(1, (-1, len(self.freqs_hz)))


def tone(freq_hz: float | torch.Tensor, partials: int = 1, samples: int = 4096) -> torch.Tensor:
    """A (batch, samples) sum of harmonics whose amplitudes fall as 1 / k."""
    freq_hz = torch.as_tensor(freq_hz, dtype=torch.float64).reshape(-1, 1, 1)
    order = torch.arange(1, partials + 1, dtype=torch.float64)[:, None]
    phase = 2 * math.pi * freq_hz * order * torch.arange(samples) / RATE
    return (0.5 * torch.sin(phase) / order).sum(dim=1)


def test_waveform_transport_is_the_published_one(golden):
    case = golden("pitch", "waveform_transport")
    said = dict(case.config["init"])
    spectra = {k: v for k, v in said["transform"]["init_args"].items() if k != "sample_rate"}
    loss = SpectralTransportLoss(
        STFT(**spectra, frames="padded"),
        p=said["p"],
        squared=said["square_dist"],
        balanced=True,
        cutoff=None,
    )
    y, x = case["in_y"].requires_grad_(), case["in_x"].requires_grad_()
    value = loss(y, x)
    value.backward()
    case.check("out_loss", value)
    case.check("grad_x", x.grad)
    case.check("grad_y", y.grad)


@pytest.mark.parametrize("name", ["kl_01", "kl_02_reverse_3d_dims"])
def test_divergence_is_the_published_one(golden, name):
    case = golden("pitch", name)
    init = case.parameters | case.config["init"]
    p, q = case["in_input"].requires_grad_(), case["in_target"].requires_grad_()
    pair = (q, p) if init.get("reverse") else (p, q)
    rows = kl_divergence(*pair, eps=init["eps"])
    value = rows.mean(dim=1) if rows.ndim == 2 else rows.mean()
    value.backward(torch.as_tensor(case["cot_loss"]))
    case.check("out_loss", value)
    case.check("grad_input", p.grad)
    case.check("grad_target", q.grad)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"kl", "time"}))
def test_falls_on_the_way_to_the_pitch(name):
    """From a sixth off to a semitone off, and to none; the loss between bins does not say that."""
    target = tone(440.0)
    values = [LOSSES[name](tone(freq_hz), target).item() for freq_hz in (523.0, 466.0, 440.0)]
    assert values[0] > values[1] > values[2] and values[2] < 1e-3 * values[0]


def test_moves_along_time():
    noise = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0))
    place = torch.arange(8192)
    early, soon, late = (noise * torch.exp(-(((place - at) / 400) ** 2)) for at in (2000, 3000, 6000))
    loss = LOSSES["time"]
    assert loss(late, early) > loss(soon, early) > loss(early, early)
    sliced = LOSSES["sliced"]
    assert sliced(late, early) > sliced(soon, early)


@pytest.mark.parametrize("name", LOSSES)
def test_silence_has_a_finite_loss_and_gradient(name):
    silence, sound = torch.zeros(2, 4096), tone([300.0, 500.0]).float()
    for prediction, target in ((sound, silence), (silence, sound), (silence, silence)):
        prediction = prediction.clone().requires_grad_()
        value = LOSSES[name](prediction, target)
        value.backward()
        assert value.isfinite() and prediction.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_finite_differences(name):
    """Along a random direction of the waveform, in float64."""
    generator = torch.Generator().manual_seed(3)
    noise = 0.1 * torch.randn(2, 4096, generator=generator, dtype=torch.float64)  # no bin near 0
    target, prediction = tone(440.0, 4) + noise[:1], (tone(500.0, 5) + noise[1:]).requires_grad_()
    away = torch.randn(1, 4096, generator=generator, dtype=torch.float64)
    (grad,) = torch.autograd.grad(LOSSES[name](prediction, target), prediction)
    step = 1e-6
    with torch.no_grad():
        ends = [LOSSES[name](prediction + sign * step * away, target) for sign in (1, -1)]
    slope = ((ends[0] - ends[1]) / (2 * step)).item()
    assert (grad * away).sum().item() == pytest.approx(slope, rel=2e-3, abs=1e-9)


def test_full_frames_point_at_the_pitch_and_padded_ones_often_do_not():
    f0 = torch.linspace(math.log(90), math.log(1500), 24, dtype=torch.float64).exp()
    starts = f0.roll(7)
    shares = {}
    for frames in ("full", "padded"):
        loss = SpectralTransportLoss(STFT(2048, window="flattop", frames=frames))
        right = []
        for target_hz, start_hz in zip(f0, starts, strict=True):
            freq_hz = start_hz.clone().requires_grad_()
            phase = 2 * math.pi * freq_hz * torch.arange(4096) / RATE
            loss(0.5 * torch.sin(phase)[None], tone(target_hz)).backward()
            right.append(freq_hz.grad.item() * (start_hz - target_hz).item() > 0)
        shares[frames] = sum(right) / len(right)
    assert shares["full"] == 1.0
    assert shares["padded"] < 0.7


def test_takes_maps_of_a_user():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 2, 40, generator=generator, dtype=torch.float64)
    balanced = SpectralTransportLoss(Own(8), p=1, squared=False, balanced=True, cutoff=None)
    summed = CumulativeEnergyLoss(Own(8), squared=False, balanced=True)
    torch.testing.assert_close(summed(y, x) * 8 / 7, balanced(y, x))


def test_zero_hertz_counts_as_note_zero_on_the_log_scale():
    freqs_hz = torch.tensor([0.0, 32.7, 7750.68, 8.1758])
    positions = frequency_positions(freqs_hz, "log", (32.7, 7750.68))
    torch.testing.assert_close(positions, torch.tensor([-0.2535, 0.0, 1.0, -0.2535]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"p": 0.9}, "p=0.9"),
        ({"axis": "pitch"}, "'pitch'"),
        ({"scale": "bark"}, "'bark'"),
        ({"cutoff": "hard"}, "'hard'"),
        ({"weigh": "loud"}, "'loud'"),
        ({"maps": []}, "at least one map"),
        ({"log_range_hz": (0.0, 10.0)}, "log_range_hz"),
    ],
)
def test_rejects(unchecked, init, message):
    with pytest.raises(ValueError, match=message):
        SpectralTransportLoss(**init)


def test_rejects_sounds_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="hold no full frame"):
        SpectralTransportLoss()(torch.ones(1, 1000), torch.ones(1, 1000))
    with pytest.raises(ValueError, match="finite"):
        SpectralTransportLoss()(torch.full((1, 4096), torch.nan), torch.ones(1, 4096))
    with pytest.raises(ValueError, match="differ"):
        SpectralTransportLoss()(torch.ones(1, 4096), torch.ones(2, 4096))
