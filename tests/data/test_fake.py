import pytest
import torch

from drumblender.data import FakeDrumsDataModule
from drumblender.data.fake import KINDS, percussion
from drumblender.features import CQTModalAnalysis

RATE = 16000


def play(kind, seed=0, num_samples=RATE):
    return percussion(kind, torch.Generator().manual_seed(seed), num_samples=num_samples, sample_rate=RATE)


def centroid_hz(sound):
    spectrum = torch.fft.rfft(sound).abs()
    freq_hz = torch.fft.rfftfreq(len(sound), 1 / RATE)
    return ((freq_hz * spectrum).sum() / spectrum.sum()).item()


@pytest.mark.parametrize("kind", KINDS)
def test_each_drum_starts_at_once_fades_and_peaks_below_one(kind):
    sound = play(kind, num_samples=2 * RATE)
    assert sound.dtype == torch.float32 and sound.shape == (2 * RATE,)
    assert sound.abs().max() == pytest.approx(0.9)
    assert sound[: RATE // 50].abs().max() > 0.2
    assert sound[-RATE // 10 :].square().mean() < 1e-3 * sound[: RATE // 10].square().mean()


def test_a_kick_is_dark_and_a_hihat_is_bright():
    assert max(centroid_hz(play("kick", seed)) for seed in range(5)) < 1500
    assert min(centroid_hz(play("hihat", seed)) for seed in range(5)) > 3000


def test_sounds_differ_by_seed_and_repeat_with_it():
    assert torch.equal(play("snare", 1), play("snare", 1))
    assert not torch.allclose(play("snare", 1), play("snare", 2), atol=0.1)


def test_an_unknown_drum_is_named():
    with pytest.raises(ValueError, match="'gong'"):
        play("gong")


def test_the_data_module_prepares_its_sounds_like_any_recordings(tmp_path):
    analysis = CQTModalAnalysis(RATE, hop_length=128, fmin=100, n_bins=70, num_modes=4, short="pad")
    data = FakeDrumsDataModule(str(tmp_path), analysis, num_sounds=20, sample_rate=RATE, num_samples=8000)
    data.prepare_data()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == (8, 8000)
    assert batch["freq_rad"].shape == batch["amp"].shape == (8, data.analysis.num_frames(8000), 4)
    assert len(set(batch["name"])) == 8
    assert not data.verify()


def test_other_sounds_in_the_folder_are_refused(tmp_path):
    def module(**kwargs):
        analysis = CQTModalAnalysis(RATE, hop_length=128, fmin=100, n_bins=70, num_modes=4, short="pad")
        return FakeDrumsDataModule(str(tmp_path), analysis, sample_rate=RATE, num_samples=8000, **kwargs)

    module(num_sounds=10).prepare_data()
    with pytest.raises(ValueError, match="num_sounds"):
        module(num_sounds=20).setup("fit")
