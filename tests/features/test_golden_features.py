"""Every feature against the numbers of the published one, values and gradients."""

import pytest
from golden_case import ENTRIES
from golden_parts import build_feature

KINDS = ("casc_", "collection_", "feat_")
NAMES = [name for name in ENTRIES["remap"] if name.startswith(KINDS) and name != "feat_windows"]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    feature = build_feature({"class": numbers.config["callable"], "init": numbers.config["init"]})
    audio = numbers["in_x"].requires_grad_()
    values = feature(audio)
    numbers.check("out_y", values)
    if "labels" in numbers.config:
        assert feature.labels == numbers.config["labels"]
    if "silence" in name:
        return
    (values * numbers["in_w"]).sum().backward()
    every, key = (16, "grad_x_every16") if "grad_x_every16" in numbers else (1, "grad_x")
    numbers.check(key, audio.grad[..., ::every])


def test_windows_are_the_published_ones(golden):
    from drumblender.dsp.moments import analysis_window

    numbers = golden("remap", "feat_windows")
    for kind in ("flat_top", "hann"):
        numbers.check(f"out_{kind}", analysis_window(kind, 512))
