import pytest
import torch

from drumblender.features import OnsetCoefficients, ResidualBands
from drumblender.features.residual import play_modes
from drumblender.synths import LappedTransient, ModalSynth, StftNoiseSynth

BANDS = {"sample_rate": 16000, "num_bands": 32, "n_fft": 256, "hop_length": 64}


def batch_of(generator, noise_level: float) -> dict[str, torch.Tensor]:
    """A tone that is known as a mode, in noise that is not."""
    modes = {
        "freq_rad": torch.full((1, 251, 1), 0.3),
        "amp": torch.full((1, 251, 1), 0.5),
        "phase_rad": torch.zeros(1, 251, 1),
    }
    tone = ModalSynth(1, align="hop")(modes, 16000)
    return {"audio": tone + noise_level * torch.randn(1, 16000, generator=generator), **modes}


def test_what_it_measures_fills_the_modes_up_to_the_recording(generator):
    batch = batch_of(generator, 0.1)
    level_db = ResidualBands(**BANDS, smooth_frames=9)(batch).controls["level_db"]
    assert level_db.mean().item() == pytest.approx(-20, abs=1)
    noise = StftNoiseSynth(**BANDS)({"level_db": level_db}, 16000, generator=generator)
    assert noise.square().mean().sqrt().item() == pytest.approx(0.1, rel=0.15)


def test_a_recording_that_is_all_modes_leaves_the_floor(generator):
    batch = batch_of(generator, 0.0)
    level_db = ResidualBands(**BANDS, floor_db=-20)(batch).controls["level_db"]
    loudest_db = ResidualBands(**BANDS)(batch).features[..., :32].amax()
    assert level_db.amax() == pytest.approx(loudest_db - 20, abs=0.5)


def test_features_are_the_levels_of_the_recording_and_of_the_modes(generator):
    batch = batch_of(generator, 0.1)
    found = ResidualBands(**BANDS, levels=False)(batch)
    assert found.controls == {} and found.features.shape == (1, 251, 64)
    target_db, stem_db = found.features[0, 20:-20].mean(dim=0).split(32)
    tone = target_db.argmax()
    assert stem_db[tone] == pytest.approx(target_db[tone].item(), abs=1)
    assert target_db[-1] > stem_db[-1] + 30


def test_the_rest_of_the_waveform_is_heard_on_request(generator):
    batch = batch_of(generator, 0.1)
    out_of_phase = batch | {"phase_rad": batch["phase_rad"] + torch.pi / 2}
    bands = ResidualBands(**BANDS, hear_rest=True)
    in_phase_db, apart_db = (bands(modes).features[0, 20:-20].mean(dim=0) for modes in (batch, out_of_phase))
    assert len(in_phase_db) == bands.num_features == 96
    tone = in_phase_db[:32].argmax()
    assert in_phase_db[64 + tone] < in_phase_db[tone] - 6
    assert apart_db[64 + tone] == pytest.approx(in_phase_db[tone] + 3, abs=1)  # two powers of one frequency


def test_a_quadrature_is_heard(generator):
    batch = batch_of(generator, 0.0)
    turned = batch | {"quadrature": batch["amp"], "amp": torch.zeros_like(batch["amp"])}
    bands = ResidualBands(**BANDS, levels=False)
    as_sine, as_cosine = (bands(modes).features[0, 9:-9, 32:].amax(dim=1) for modes in (batch, turned))
    assert torch.allclose(as_sine, as_cosine, atol=0.1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="smooth_frames=2"):
        ResidualBands(16000, smooth_frames=2)


def test_all_coefficients_of_an_attack_play_it_as_it_was_until_it_fades(generator):
    batch = batch_of(generator, 0.1)
    every = OnsetCoefficients(size=64, num_frames=9, num_coefficients=9 * 64)
    attack = LappedTransient(64)(every(batch).controls, 16000)
    rest = batch["audio"] - play_modes(batch)
    assert torch.allclose(attack[:, :448], rest[:, :448], atol=1e-6)
    assert attack[:, 448:512].square().sum() < 0.7 * rest[:, 448:512].square().sum()
    assert attack[:, 512:].abs().max() < 1e-6


def test_the_strongest_coefficients_are_kept_and_a_click_needs_few(generator):
    batch = batch_of(generator, 0.0)
    batch["audio"][:, 200:204] += 0.5
    few = OnsetCoefficients(size=64, num_frames=9, num_coefficients=48)
    coefficients = few(batch).controls["coefficients"]
    assert coefficients.count_nonzero() == 48
    left = batch["audio"] - play_modes(batch)
    after = left - LappedTransient(64)({"coefficients": coefficients}, 16000)
    assert after.square().sum() < 0.1 * left.square().sum()


def test_noise_is_not_asked_for_what_the_attack_plays_already(generator):
    batch = batch_of(generator, 0.1)
    onset = OnsetCoefficients(size=64, num_frames=33, num_coefficients=33 * 64)
    plain_db, less_db = (
        ResidualBands(**BANDS, onset=part)(batch).controls["level_db"] for part in (None, onset)
    )
    assert (plain_db - less_db)[:, 2:24].mean() > 15  # down to the floor
    assert torch.allclose(plain_db[:, 36:], less_db[:, 36:])


def test_a_sound_shorter_than_an_attack_is_played_whole(generator):
    batch = {name: value[:, :5] for name, value in batch_of(generator, 0.1).items()}
    batch["audio"] = torch.randn(1, 300, generator=generator)
    found = OnsetCoefficients(size=64, num_frames=9, num_coefficients=9 * 64)(batch).controls
    played = play_modes(batch) + LappedTransient(64)(found, 300)
    assert torch.allclose(played, batch["audio"], atol=1e-5)


@pytest.mark.parametrize("wrong", [{"num_frames": 1}, {"size": 0}, {"num_coefficients": 0}])
def test_an_attack_without_frames_or_cosines_is_refused(wrong):
    with pytest.raises(ValueError, match="two frames"):
        OnsetCoefficients(**wrong)
