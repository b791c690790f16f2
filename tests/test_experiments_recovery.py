"""Patches are known, starts are not far from them, and a search tells how far it came."""

import csv
from pathlib import Path

import pytest
import torch

pytest.importorskip("hydra")
from hydra import compose, initialize_config_dir

import experiments.recovery
from experiments.recovery.patches import KINDS, REACH, draw, error
from experiments.recovery.search import run

CONFIG = str(Path(experiments.recovery.__file__).parent / "config")


def config(*overrides):
    with initialize_config_dir(CONFIG, version_base="1.3"):
        return compose("search", overrides=list(overrides))


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_sounds_and_starts_within_reach(kind):
    patch = draw(kind, 0, seed=3)
    again = draw(kind, 0, seed=3)
    assert patch.audio.abs().max() > 0.05 and torch.equal(patch.audio, again.audio)
    assert error(patch.known, patch.known) == 0
    far = [(patch.start[name] - patch.known[name]).abs().max() for name in patch.known]
    assert 0.02 < error(patch.start, patch.known) < REACH and max(far) <= REACH + 1e-6
    with torch.no_grad():
        played = patch.synth(patch.space.controls(patch.known), len(patch.audio))[0]
    noisy = kind not in ("modal", "harmonic")
    assert torch.equal(played, patch.audio) != noisy  # the noise of a target is not that of the search


def test_modes_that_changed_places_are_no_error():
    known = {"freq": torch.tensor([[[0.2, 0.6]]]), "level": torch.tensor([[[0.9, 0.3]]])}
    assert error({name: value.flip(2) for name, value in known.items()}, known) == 0
    moved = known | {"freq": torch.tensor([[[0.3, 0.6]]])}
    assert error(moved, known) == pytest.approx(0.025)


def test_taps_are_compared_as_the_shares_that_they_are():
    known = {"loop_taps": torch.tensor([[[0.2, 0.3, 0.5]]]), "f0_hz": torch.tensor([[[0.5]]])}
    assert error(known | {"loop_taps": known["loop_taps"] * 1.7}, known) == pytest.approx(0, abs=1e-7)
    moved = known | {"loop_taps": torch.tensor([[[0.3, 0.2, 0.5]]])}
    assert error(moved, known) == pytest.approx(0.05)


def test_a_string_is_found_and_sounds_nearer_than_its_start(tmp_path):
    settings = config(
        "kinds=[string]", "patches=1", "renders=150", f"output={tmp_path}", "seed=2", "floor=false"
    )
    assert run(settings) == 0
    (string,) = csv.DictReader((tmp_path / "metrics.csv").open())
    assert float(string["end"]) < float(string["start"])
    assert float(string["known_sound"]) < float(string["end_sound"]) < float(string["start_sound"])


def test_ours_ends_below_its_start_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    settings = config("kinds=[stft_noise,modal]", "patches=1", "renders=120", f"output={tmp_path}", "seed=1")
    assert run(settings) == 0
    noise, modal = csv.DictReader((tmp_path / "metrics.csv").open())
    assert float(noise["end"]) < 0.5 * float(noise["start"])
    assert float(modal["modal/end"]) == float(modal["end"]) and float(modal["stft_noise/end"]) != 0
    assert int(noise["renders"]) <= 120 and float(noise["floor"]) < 0.05
    monkeypatch.setattr("experiments.recovery.search.recover", lambda *args: pytest.fail("searched again"))
    assert run(settings) == 0


@pytest.mark.parametrize("override, message", [("kinds=[odd]", "No synth odd"), ("patches=0", "patches=0")])
def test_settings_without_sense_are_refused(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        run(config(override, f"output={tmp_path}"))
