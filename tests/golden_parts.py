"""Builds features from the nested descriptions that golden files carry."""

from torch import nn

from drumblender import features


def build_feature(spec: dict) -> nn.Module:
    init = dict(spec.get("init", {}))
    for key in ("features", "extractors"):
        if key in init:
            init[key] = [build_feature(part) for part in init[key]]
    return getattr(features, spec["class"].rsplit(".", 1)[-1])(**init)


def published_features(sample_rate: int = 44100) -> nn.Module:
    """The seven features of a whole hit, as published."""
    frames = features.CascadingFrameExtractor(
        [
            features.Loudness(sample_rate),
            features.SpectralCentroid(sample_rate, "flat_top", compress=True, floor=1e-4, scaling="kazazis"),
            features.SpectralFlatness(),
        ],
        num_frames=[2, 64],
        frame_size=2048,
        hop_size=512,
    )
    hit = features.CascadingFrameExtractor(
        [features.TemporalCentroid(sample_rate, scaling="schlauch")], [1], frame_size=5512, hop_size=5512
    )
    return features.FeatureCollection([frames, hit])
