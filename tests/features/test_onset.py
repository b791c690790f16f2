"""Groups of frames: labels, how far they reach, what they share and what they refuse."""

import pytest
import torch

from drumblender.features import (
    RMS,
    AmpEnvSum,
    CascadingFrameExtractor,
    FeatureCollection,
    FeatureExtractor,
    Loudness,
    NormSum,
    OnsetSegment,
    SpectralCentroid,
    SpectralFlatness,
    SpectralFlux,
    SpectralSpread,
    TemporalCentroid,
)

RATE = 44100


def cascade(*extractors, num_frames=(2, 3), **settings):
    return CascadingFrameExtractor(
        list(extractors), list(num_frames), frame_size=256, hop_length=128, **settings
    )


def test_columns_are_the_features_of_the_frames_alone(generator):
    audio = torch.randn(2, 2000, generator=generator)
    extractors = [
        SpectralCentroid(RATE, "flat_top", compress=True),
        SpectralFlatness(),
        SpectralSpread(),
        Loudness(RATE),
        TemporalCentroid(RATE, 64),
        RMS(),
    ]
    columns = cascade(*extractors)(audio)
    frames = audio.unfold(-1, 256, 128)
    expected = [
        group.mean(dim=1)
        for extractor in extractors
        for group in extractor(frames)[:, :5].split([2, 3], dim=1)
    ]
    assert torch.allclose(columns, torch.stack(expected, dim=1), rtol=1e-4)


def test_flux_gives_one_value_less_than_the_group_has_frames(generator):
    audio = torch.randn(1, 2000, generator=generator)
    columns = cascade(SpectralFlux(), include_diff=True)(audio)
    flux = SpectralFlux()(audio.unfold(-1, 256, 128)[:, :5])[0]
    assert torch.allclose(columns[0], torch.stack([flux[0], flux[2:4].mean(), flux[3] - flux[2]]), rtol=1e-4)


def test_nothing_beyond_the_reach_is_read(generator):
    feature = FeatureCollection([cascade(RMS(), Loudness(RATE)), cascade(SpectralFlatness(), num_frames=[7])])
    assert feature.receptive_field == 6 * 128 + 256
    audio = torch.randn(1, 3000, generator=generator)
    assert torch.equal(feature(audio), feature(audio[:, : feature.receptive_field]))
    with pytest.raises(ValueError, match="need 1024 samples; the sound has 1023"):
        feature(audio[:, :1023])


def test_groups_that_all_start_at_the_onset_need_only_the_longest():
    assert cascade(RMS(), num_frames=[2, 5], always_from_onset=True).receptive_field == 4 * 128 + 256


def test_zeros_before_the_sound_count(generator):
    audio = torch.randn(1, 400, generator=generator)
    padded = cascade(RMS(), num_frames=[1, 2], pad_start=256)(audio)
    assert torch.allclose(padded, cascade(RMS(), num_frames=[1, 2])(torch.nn.functional.pad(audio, (256, 0))))
    assert padded[0, 0] == pytest.approx(1e-4)


def test_two_features_of_a_class_have_two_names():
    feature = cascade(RMS(), RMS(db=True), num_frames=[1])
    assert feature.labels == ["RMS_0_1_mean", "RMS:2_0_1_mean"]
    nested = feature.get_as_dict(torch.ones(3, 500))
    assert nested["RMS"]["RMS_0_1_mean"].tolist() == pytest.approx([1.0] * 3)
    assert nested["RMS:2"]["RMS:2_0_1_mean"].tolist() == pytest.approx([0.0] * 3, abs=1e-5)


def test_any_axes_may_come_before_the_samples(generator):
    audio = torch.randn(2, 3, 900, generator=generator)
    feature = cascade(RMS(), SpectralFlatness())
    assert torch.allclose(feature(audio), feature(audio.flatten(0, 1)).view(2, 3, -1))


def test_features_leave_nothing_in_a_checkpoint():
    assert cascade(Loudness(RATE), SpectralCentroid(RATE)).state_dict() == {}


def test_a_segment_and_what_hears_it():
    chain = FeatureExtractor([OnsetSegment(window=10, delay=5), RMS()])
    audio = torch.zeros(1, 100)
    audio[0, 5:15] = 0.5
    assert chain(audio).item() == pytest.approx(0.5, abs=1e-6)
    assert chain.receptive_field == 15


def test_long_sounds_fill_more_of_their_envelope():
    time = torch.arange(4000)
    sounds = torch.stack([torch.exp(-time / 100), torch.exp(-time / 1000), torch.zeros(4000)])
    short, long, silent = AmpEnvSum(64)(sounds)
    assert 0 == silent < short < long < 1
    assert torch.allclose(NormSum(per_example=True)(2 * sounds), NormSum(per_example=True)(sounds))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_frames": [0]}, "at least 1 frame"),
        ({"include_mean": False}, "include_mean and include_diff"),
    ],
)
def test_settings_that_leave_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cascade(RMS(), **settings)


def test_flux_in_a_group_of_one_frame_is_refused():
    with pytest.raises(ValueError, match="SpectralFlux joins 2 frames; a group has 1"):
        cascade(SpectralFlux(), num_frames=[1])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SpectralCentroid(RATE, window="hamming"), "hamming"),
        (lambda: SpectralCentroid(RATE, scaling="bark"), "bark"),
        (lambda: SpectralFlatness(amin=0.0), "amin"),
        (lambda: TemporalCentroid(RATE, scaling="log"), "log"),
        (lambda: OnsetSegment(window=0), "window=0"),
    ],
)
def test_unknown_choices_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):  # TypeError where shapes are checked
        make()
