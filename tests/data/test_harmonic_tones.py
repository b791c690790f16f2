import pytest
import torch
from golden_case import golden_file

from drumblender.data import HarmonicTonesDataModule
from drumblender.data.harmonic_tones import split_lengths
from drumblender.data.tone_draws import ToneSettings, draw_tones, render_tones
from drumblender.features import CQT


def settings_of(init: dict) -> tuple[ToneSettings, dict]:
    tones = ToneSettings(
        low_hz=init["freq_gen_min"],
        high_hz=init["freq_gen_max"],
        low_amp=init["amplitude_min"],
        high_amp=init["amplitude_max"],
        num_partials=init["n_sinusoids"],
        min_partials=init["n_sinusoids_min"],
        random_mask=init.get("mask_rand_amplitudes", False),
        harmonic=init["harmonic"],
    )
    shares = {"val_share": init["eval_split"], "test_share": init["test_split"] or 0.0}
    return tones, shares | {"size": init["size"], "num_samples": init["n_samples"]}


def small(**changes) -> HarmonicTonesDataModule:
    return HarmonicTonesDataModule(**{"size": 20, "num_samples": 512, "batch_size": 4} | changes)


@pytest.mark.parametrize(
    "name", ["dataset_01_harmonic", "dataset_02_inharmonic_random_mask", "dataset_03_no_test_no_mask"]
)
def test_a_seed_gives_the_published_tones_and_splits(golden, name):
    case = golden("pitch", name)
    tones, settings = settings_of(case.config["init"])
    seed = case.config["seed"]
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_tones(tones, settings["size"], generator)
    case.check("out_frequency", drawn.f0_hz)
    case.check("out_weights", drawn.amp)
    rate = case.parameters["sample_rate"]
    case.check("out_audio", render_tones(tones, drawn, settings["num_samples"], rate))
    data = HarmonicTonesDataModule(tones, seed=seed, batch_size=64, **settings)
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch["f0_hz"], drawn.f0_hz[case["out_train_indices"].long()])
    case.check("out_item_x", batch["audio"][0])
    case.check("out_item_weights", batch["amp"][0, 0])
    validation = next(iter(data.val_dataloader()))
    assert torch.equal(validation["f0_hz"], drawn.f0_hz[case["out_val_indices"].long()])


def test_reads_the_original_file_and_says_that_its_splits_are_one(golden):
    case = golden("pitch", "dataset_file")
    data = HarmonicTonesDataModule(data_path=str(golden_file("pitch/dataset_small.pth")), batch_size=4)
    with pytest.warns(UserWarning, match="val and test hold the very tones"):
        batch = next(iter(data.train_dataloader()))
    case.check("out_x", batch["audio"])
    case.check("out_frequency", batch["f0_hz"])
    case.check("out_weights", batch["amp"][:, 0])


def test_splits_share_nothing_unless_asked_to():
    def pitches(data, split):
        batches = getattr(data, f"{split}_dataloader")()
        return {value for batch in batches for value in batch["f0_hz"].flatten().tolist()}

    data = small()
    assert not pitches(data, "train") & (pitches(data, "test") | pitches(data, "val"))
    assert len(pitches(data, "train")) == 14
    whole = small(overlap=True)
    assert pitches(whole, "train") == pitches(whole, "test") and len(pitches(whole, "test")) == 20


def test_fresh_tones_differ_from_batch_to_batch_and_repeat_with_the_seed():
    loader = small(fresh=True).train_dataloader()
    first, second = list(loader)[:2]
    assert not torch.equal(first["audio"], second["audio"])
    again = next(iter(small(fresh=True).train_dataloader()))
    assert torch.equal(first["audio"], again["audio"])


def test_cached_transforms_are_those_of_the_sounds():
    cqt = CQT(fmin=500.0)
    batch = next(iter(small(cqt=cqt).train_dataloader()))
    torch.testing.assert_close(batch["cqt"], cqt(batch["audio"][:, :-1]), rtol=1e-4, atol=1e-5)


def test_noise_stiffness_and_a_missing_fundamental_change_the_sound_as_told():
    tones = ToneSettings(missing_fundamental=1.0, min_partials=3, inharmonicity=0.01)
    drawn = draw_tones(tones, 30, torch.Generator().manual_seed(0))
    assert not drawn.amp[:, 0].any() and (drawn.stiffness > 0).all()
    stiff = ToneSettings(low_hz=200, high_hz=200, min_partials=None, num_partials=4, inharmonicity=0.01)
    drawn = draw_tones(stiff, 1, torch.Generator().manual_seed(0))
    audio = render_tones(stiff, drawn, 16000, 16000)
    peak_hz = torch.fft.rfft(audio[0] * torch.hann_window(16000)).abs()[700:].argmax().item() + 700
    expected = 4 * 200 * (1 + 16 * drawn.stiffness[0].item()) ** 0.5
    assert abs(peak_hz - expected) < 1.5
    noisy = next(iter(small(tones=ToneSettings(noise_db=0.0)).train_dataloader()))
    assert noisy["audio"].abs().amax(dim=1).tolist() == pytest.approx([0.9] * 4, abs=1e-4)


def test_counts_partials_as_published_or_evenly():
    generator = torch.Generator().manual_seed(0)
    counts = (draw_tones(ToneSettings(), 4000, generator).amp > 0).sum(dim=1).bincount(minlength=9) / 4000
    assert counts[8] == 0 and counts[1].item() == pytest.approx(0.25, abs=0.03)
    even = draw_tones(ToneSettings(inclusive_mask=True), 4000, generator).amp
    counts = (even > 0).sum(dim=1).bincount(minlength=9)[1:] / 4000
    assert (counts - 1 / 8).abs().max() < 0.03


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ToneSettings(low_hz=0), "low_hz"),
        (lambda: ToneSettings(min_partials=9), "min_partials"),
        (lambda: ToneSettings(missing_fundamental=2), "missing_fundamental"),
        (lambda: small(size=0), "size=0"),
        (lambda: small(fresh=True, data_path="x.pth"), "leave one out"),
        (lambda: split_lengths(10, 0.25, 0.1), "take a size"),
        (lambda: small(test_share=0.0, val_share=0.2).test_dataloader(), "no tones to test"),
    ],
)
def test_rejects(make, message):
    with pytest.raises(ValueError, match=message):
        make()
