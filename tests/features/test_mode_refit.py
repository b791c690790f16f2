import csv
import math

import numpy as np
import pytest
import torch

from drumblender.data.fake import percussion
from drumblender.data.prepare.one_shot import one_shot
from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.mode_fit import fit_quadrature
from drumblender.dsp.oscillators import quadrature_bank
from drumblender.dsp.units import hz_to_rad
from drumblender.features import CQTModalAnalysis, NoModesError, RefittedModes
from drumblender.synths import ModalSynth

RATE = 48000


def refit(**options) -> RefittedModes:
    analysis = CQTModalAnalysis(
        sample_rate=RATE,
        hop_length=256,
        fmin=20,
        n_bins=240,
        bins_per_octave=24,
        num_modes=64,
        threshold=-80,
        diff_threshold=5,
        first_frame="split",
        skip_empty_frames=False,
        match_phases=True,
        phase_reference="sine",
        hold_last_frequency=True,
        short="pad",
    )
    return RefittedModes(analysis, **options)


def play(modes, num_samples: int) -> torch.Tensor:
    freq_hz, amp, phase_rad, quadrature = (part.mT for part in modes)
    controls = {"freq_rad": hz_to_rad(freq_hz, RATE), "amp": amp, "phase_rad": phase_rad}
    synth = ModalSynth(64, align="hop", quadrature=True)
    return synth(controls | {"quadrature": quadrature}, num_samples)


def snr_db(sound: torch.Tensor, target: torch.Tensor, stop_s: float = 0.1) -> float:
    sound, target = sound[:, : round(stop_s * RATE)], target[:, : round(stop_s * RATE)]
    return (10 * torch.log10(target.square().sum() / (target - sound).square().sum())).item()


def drum(kind: str, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return percussion(kind, generator, num_samples=RATE, sample_rate=RATE)[None]


@pytest.mark.parametrize("kind, least_db", [("kick", 15), ("tom", 15), ("snare", 5)])
def test_refitted_modes_lie_on_the_waveform_of_made_up_drums(kind, least_db):
    for seed in range(2):
        target = drum(kind, seed)
        assert snr_db(play(refit()(target), RATE), target) > least_db
        assert snr_db(play(refit(method="match")(target), RATE), target) < least_db - 3


def test_a_second_pass_finds_what_the_first_left():
    target = drum("snare", 0)
    found = [refit(method="refit", refit_modes=64, passes=passes)(target) for passes in (1, 2)]
    once_db, twice_db = (snr_db(play(modes, RATE), target) for modes in found)
    assert twice_db > once_db + 1
    assert found[1][0].shape[1] <= 64


def test_passes_that_no_modes_can_be_shared_out_to_are_refused():
    with pytest.raises(ValueError, match="num_modes=64"):
        refit(passes=65)


@pytest.mark.parametrize("kind, least_db", [("kick", 15), ("tom", 15)])
def test_refitted_modes_lie_on_the_waveform_of_recorded_drums(recordings, kind, least_db):
    folder = recordings("drums")
    with (folder / "SOURCES.csv").open() as file:
        paths = [folder / row["file"] for row in csv.DictReader(file) if row["label"] == kind]
    found = []
    for path in paths[:: len(paths) // 5][:5]:
        target = one_shot(path, RATE, RATE)[None]
        found.append(snr_db(play(refit(method="refit")(target), RATE), target))
    assert torch.tensor(found).median() > least_db


def test_nothing_sounds_before_the_onset():
    target = torch.nn.functional.pad(drum("kick", 0)[:, :24000], (12800, 0))  # 50 frames
    modes = refit(method="refit")(target)
    fitted = modes[3][0].abs().sum(dim=1) > 0
    assert fitted.any() and not modes[1][0, fitted, :49].any() and not modes[3][0, :, :49].any()
    assert snr_db(play(modes, 36800), target, 0.4) > 12


def test_noise_is_matched_and_a_tone_is_refitted(generator):
    time_s = torch.arange(RATE) / RATE
    tone = (torch.exp(-6 * time_s) * torch.sin(2 * math.pi * 200 * time_s + 1))[None]
    noise = 0.3 * torch.exp(-6 * time_s) * torch.randn(1, RATE, generator=generator)
    assert refit()(tone)[3].any()
    found = refit()(noise)
    assert not found[3].any()
    level_db = 10 * torch.log10(play(found, RATE).square().mean() / noise.square().mean())
    assert level_db.item() == pytest.approx(0, abs=3)


def test_noise_without_any_mode_gets_a_silent_one(generator):
    hiss = 1e-4 * torch.randn(1, RATE, generator=generator)
    freq_hz, *others = refit()(hiss)
    assert freq_hz.shape == (1, 1, 188) and not any(part.any() for part in others)


def test_a_batch_is_refitted_sound_by_sound():
    sounds = torch.cat([drum("kick", 0), drum("tom", 0)])
    analyse = refit()
    analyse.analysis.num_modes = 4
    together = analyse(sounds)
    for part, alone in zip(together, analyse(sounds[1:]), strict=True):
        assert torch.allclose(part[1:], alone, atol=1e-6)


def test_silence_has_no_modes_and_what_does_not_fit_is_refused(unchecked):
    with pytest.raises(NoModesError):
        refit()(torch.zeros(1, RATE))
    with pytest.raises(ValueError, match="'better', 'refit' or 'match', got 'best'"):
        refit(method="best")
    with pytest.raises(ValueError, match="ridge=0"):
        refit(ridge=0)
    with pytest.raises(ValueError, match="from frame 0"):
        refit(knots=(1, 2))(drum("kick", 0))


def dense_fit(audio, freq_rad, amp, phase_rad, onset: int, fitted: int, knots: tuple[int, ...], ridge: float):
    """The same regression with all its columns written out: (modes, frames) of sines and of cosines."""
    num_modes, num_frames = amp.shape
    frames = torch.arange(num_frames, dtype=torch.float64)
    corners = torch.eye(len(knots), dtype=torch.float64)
    hats = torch.from_numpy(
        np.stack([np.interp(frames - onset, knots, row, left=0) for row in corners.numpy()])
    )
    shapes = hats[:, None] * amp
    phase = interpolate_frames(freq_rad, audio.shape[-1], align="hop").cumsum(dim=-1) + phase_rad[:, :1]
    carriers = torch.stack([phase.sin(), phase.cos()])
    columns = interpolate_frames(shapes, audio.shape[-1], align="hop")[:, None] * carriers
    rows = columns.flatten(0, 2)[:, :fitted]
    normal = rows @ rows.T
    normal += ridge * normal.diagonal().mean() * torch.eye(len(rows))
    gains = torch.linalg.solve(normal, rows @ audio[0, :fitted]).view(len(knots), 2, num_modes)
    return torch.einsum("kcm,kmf->cmf", gains, shapes)


@pytest.mark.parametrize("onset, fitted, num_samples", [(0, 3000, 6400), (5, 6400, 6400), (2, 5000, 6777)])
def test_a_refit_is_the_regression_on_all_its_columns(generator, onset, fitted, num_samples):
    freq_rad = 0.02 + 0.6 * torch.rand(5, 41, dtype=torch.float64, generator=generator).cumsum(dim=1) / 41
    amp = 0.1 + torch.rand(5, 41, dtype=torch.float64, generator=generator)
    phase_rad = 6 * torch.rand(5, 41, dtype=torch.float64, generator=generator)
    audio = torch.randn(1, num_samples, dtype=torch.float64, generator=generator)
    knots = (0, 1, 2, 5, 9, 20)
    expected = dense_fit(audio, freq_rad, amp, phase_rad, onset, fitted, knots, 1e-3)
    found = fit_quadrature(
        *(part.float() for part in (audio, freq_rad[None], amp[None], phase_rad[None])),
        onset=onset,
        num_samples=fitted,
        num_modes=5,
        knots=knots,
        ridge=1e-3,
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours[0] - theirs).norm() < 1e-4 * theirs.norm()


def test_modes_at_nyquist_take_no_part_in_a_refit():
    freq_rad, amp = torch.tensor([0.3, 3.2])[None, :, None].expand(1, 2, 33), torch.ones(1, 2, 33)
    tone = torch.sin(0.3 * torch.arange(1, 8193))[None]
    fitted = fit_quadrature(
        tone, freq_rad, amp, 0 * amp, onset=0, num_samples=8192, num_modes=2, knots=(0,), ridge=1e-6
    )
    assert [round(part[0, 0].mean().item(), 3) for part in fitted] == [1, 0]
    assert not any(part[0, 1].any() for part in fitted)


@pytest.mark.parametrize("ridge", [1e-3, 1e-6, 1e-12])
def test_modes_that_are_one_share_the_sound_whatever_the_ridge(generator, ridge):
    time_s = torch.arange(24000) / RATE
    tone = (torch.exp(-6 * time_s) * torch.sin(2 * math.pi * 200 * time_s + 1))[None]
    freq_rad = torch.full((1, 32, 94), 2 * math.pi * 200 / RATE)
    amp = torch.exp(-6 * torch.linspace(0, 0.5, 94)) * torch.rand(1, 32, 94, generator=generator)
    found = fit_quadrature(
        tone, freq_rad, amp, 0 * amp, onset=0, num_samples=24000, num_modes=32, knots=(0, 4, 30), ridge=ridge
    )
    played = quadrature_bank(freq_rad, *found, 0 * amp[..., :1], num_samples=24000, align="hop")
    assert snr_db(played, tone, 0.5) > 15


def test_what_is_not_finite_is_not_fitted():
    ones = torch.ones(1, 1, 33)
    settings = {"onset": 0, "num_samples": 8192, "num_modes": 1, "knots": (0,), "ridge": 1e-3}
    with pytest.raises(ValueError, match="finite"):
        fit_quadrature(torch.randn(1, 8192), 0.2 * ones, math.nan * ones, 0 * ones, **settings)
