"""Every feature against the numbers of the published one, values and gradients."""

import pytest
import torch
from golden_parts import build_feature

# name: largest absolute error of the values, and of the gradient relative to its largest entry
LIMITS = {
    "casc_basic": (5e-5, 5e-4),
    "casc_diff": (1e-4, 5e-4),
    "casc_diff_only": (5e-5, 5e-4),
    "casc_from_onset": (1e-4, 2e-4),
    "collection_mini": (5e-5, 5e-4),
    "collection_published": (5e-5, 5e-3),
    "feat_amplitude_envelope": (5e-6, 1e-5),
    "feat_amplitude_envelope_odd": (2e-6, 1e-5),
    "feat_loudness": (2e-4, 2e-3),
    "feat_loudness_clamped": (1e-3, 5e-3),
    "feat_norm_sum": (1e-6, 1e-5),
    "feat_onset_segment_rms": (2e-5, 1e-5),
    "feat_rms": (1e-6, 1e-5),
    "feat_rms_db": (1e-5, 1e-5),
    "feat_silence_centroid": (2e-4, None),
    "feat_silence_centroid_published": (2e-5, None),
    "feat_silence_flatness": (5e-5, None),
    "feat_silence_loudness": (2e-5, None),
    "feat_silence_rms_db": (1e-5, None),
    "feat_silence_spread": (1e-6, None),
    "feat_spectral_centroid_default": (1e-4, 1e-4),
    "feat_spectral_centroid_none": (1e-2, 1e-5),
    "feat_spectral_centroid_published": (1e-5, 5e-5),
    "feat_spectral_flatness_compress": (1e-3, 5e-4),
    "feat_spectral_flatness_default": (5e-5, 5e-4),
    "feat_spectral_flux": (1e-6, 5e-5),
    "feat_spectral_spread_default": (2e-2, 1e-4),
    "feat_spectral_spread_flat_top": (5e-1, 5e-5),
    "feat_temporal_centroid": (1e-6, 1e-5),
    "feat_temporal_centroid_schlauch": (1e-6, 1e-5),
}


@pytest.mark.parametrize("name", LIMITS)
def test_values_and_gradients_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    feature = build_feature({"class": numbers.config["callable"], "init": numbers.config["init"]})
    audio = numbers["in_x"].requires_grad_()
    values = feature(audio)
    value_limit, grad_limit = LIMITS[name]
    assert values.shape == numbers["out_y"].shape
    assert (values - numbers["out_y"]).abs().max() <= value_limit
    if "labels" in numbers.config:
        assert feature.labels == numbers.config["labels"]
    if grad_limit is None:
        return
    (values * numbers["in_w"]).sum().backward()
    every, key = (16, "grad_x_every16") if "grad_x_every16" in numbers else (1, "grad_x")
    expected = numbers[key]
    assert (audio.grad[..., ::every] - expected).abs().max() <= grad_limit * expected.abs().max()


def test_windows_are_the_published_ones(golden):
    from drumblender.dsp.moments import analysis_window

    numbers = golden("remap", "feat_windows")
    assert torch.allclose(analysis_window("flat_top", 512), numbers["out_flat_top"], atol=1e-6)
    assert torch.allclose(analysis_window("hann", 512), numbers["out_hann"], atol=1e-6)
