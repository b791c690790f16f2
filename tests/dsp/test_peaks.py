import math

import numpy as np
import pytest
import torch

from benchmarks.mode_analysis import track_in_python
from drumblender.dsp.peaks import Peaks, find_peaks, interpolate_peaks, spectral_peaks, track_modes

QUANTITIES = ("location", "amp", "phase")


def peaks_of(frames: list[list[float]]) -> Peaks:
    """Peaks at these locations in each frame; magnitude 1, 2, 3, ... and phase 0.1, 0.2, ... as they come."""
    frame = torch.tensor([time for time, row in enumerate(frames) for _ in row], dtype=torch.int64)
    location = torch.tensor([value for row in frames for value in row], dtype=torch.float64)
    number = torch.arange(1, len(location) + 1, dtype=torch.float64)
    return Peaks(frame, location, number, number / 10)


def spectrum_with_gaps(generator, bins=30, frames=60, silent=0.2) -> torch.Tensor:
    spectrum = torch.complex(*torch.randn(2, bins, frames, generator=generator))
    return spectrum * (torch.rand(frames, generator=generator) > silent)


def test_a_peak_is_above_the_threshold_and_both_neighbours():
    level_db = torch.tensor([9.0, 1, 5, 1, 3, 3, 1, -90, -85, -90, 0, 9])
    assert find_peaks(level_db, -80.0).nonzero()[:, 0].tolist() == [2]  # no edge, plateau or quiet bin
    assert find_peaks(level_db, -86.0).nonzero()[:, 0].tolist() == [2, 8]
    assert find_peaks(level_db, -85.0).nonzero()[:, 0].tolist() == [2]


def test_a_peak_at_exactly_0_db_is_missed_as_published():
    assert not find_peaks(torch.tensor([-1.0, 0.0, -1.0]), -80.0).any()


def test_interpolation_finds_the_top_of_a_parabola():
    bins = torch.arange(9, dtype=torch.float64)
    magnitude = 2 - 0.1 * (bins - 4.3) ** 2
    found = interpolate_peaks(magnitude[None], 0.5 * bins[None], find_peaks(magnitude[None], -80.0))
    assert found.location.item() == pytest.approx(4.3)
    assert found.magnitude.item() == pytest.approx(2)
    assert found.phase.item() == pytest.approx(0.5 * 4.3)


def test_peak_picking_matches_the_published_system(golden):
    given = golden("drums", "peak_picking")
    peaks = find_peaks(given["in_x"], given.config["threshold"])
    given.check("out_peaks", peaks.nonzero()[:, 0])
    marked = torch.zeros(1, len(given["in_x"]), dtype=torch.bool)
    marked[0, given["in_peaks"]] = True
    found = interpolate_peaks(given["in_magnitude"][None], given["in_phase"][None], marked)
    for name in ("location", "magnitude", "phase"):
        given.check(f"out_{name}", getattr(found, name))


@pytest.mark.parametrize("name", ["dense", "gaps"])
def test_tracking_matches_the_published_system(golden, name):
    given = golden("drums", f"modal_tracking_{name}")
    spectrum = torch.view_as_complex(given["in_spectrogram"].contiguous())
    peaks = spectral_peaks(spectrum, given.config["call"]["threshold"])
    tracks = track_modes(peaks, diff_threshold=given.config["init"]["diff_threshold"])
    given.check("out_track_lengths", tracks.length)
    for ours, theirs in zip(QUANTITIES, ("freqs", "amps", "phases"), strict=True):
        reversed_time = [row[:n].flip(0) for row, n in zip(getattr(tracks, ours), tracks.length, strict=True)]
        given.check(f"out_{theirs}_flat", torch.cat(reversed_time))


@pytest.mark.parametrize("diff_threshold", [2.5, 30.0])
def test_tracks_equal_plain_lists(generator, diff_threshold):
    spectrum = spectrum_with_gaps(generator)
    tracks = track_modes(spectral_peaks(spectrum, -3.0), diff_threshold=diff_threshold)
    lists = track_in_python(spectrum.numpy(), -3.0, diff_threshold)
    assert tracks.length.tolist() == [len(freq) for freq in lists[0]]
    for name, expected in zip(QUANTITIES, lists, strict=True):
        for row, length, values in zip(getattr(tracks, name), tracks.length, expected, strict=False):
            assert np.allclose(row[:length].flip(0), values, rtol=0, atol=1e-5)
            assert not row[length:].any()


def test_an_older_track_takes_a_peak_before_a_nearer_one():
    tracks = track_modes(
        peaks_of([[11.0], [10.0, 12.0]]), first_frame="split", diff_threshold=50.0, match_phases=True
    )
    assert tracks.location.tolist() == [[11, 10], [12, 12]]
    assert tracks.amp.tolist() == [[1, 2], [0, 3]]  # the second goes on silently ...
    assert tracks.phase[1].tolist() == pytest.approx([0.3, 0.3])  # ... and holds its phase


def test_a_silent_track_comes_back():
    tracks = track_modes(peaks_of([[10.0], [20.0], [10.0, 20.0]]), first_frame="split", diff_threshold=5.0)
    assert (tracks.amp > 0).tolist() == [[True, False, True], [False, True, True]]


def test_peaks_of_the_last_frame_become_one_track_or_one_each():
    frames = [[10.0, 20.0], [10.0, 20.0]]
    joined = track_modes(peaks_of(frames), diff_threshold=5.0)
    assert joined.length.tolist() == [3, 1]
    assert joined.location.tolist() == [[20, 20, 10], [10, 0, 0]]  # in time: its last "frames" are frame 1
    split = track_modes(peaks_of(frames), diff_threshold=5.0, first_frame="split")
    assert split.location.tolist() == [[10, 10], [20, 20]]


def test_frames_without_peaks_are_dropped_or_silent():
    frames = [[], [10.0], [], [10.0], []]
    dropped = track_modes(peaks_of(frames))
    assert dropped.amp.tolist() == [[1, 2]]
    kept = track_modes(peaks_of(frames), skip_empty_frames=False)
    assert kept.amp.tolist() == [[0, 1, 0, 2]]
    assert kept.location.tolist() == [[10, 10, 10, 10]]


def test_matched_phases_belong_to_their_peaks(generator):
    spectrum = spectrum_with_gaps(generator)
    peaks = spectral_peaks(spectrum, -3.0)
    phase_of = dict(zip(peaks.magnitude.tolist(), peaks.phase.tolist(), strict=True))
    for match_phases in (True, False):
        tracks = track_modes(peaks, match_phases=match_phases, first_frame="split")
        sounding = tracks.amp > 0
        expected = [phase_of[amp] for amp in tracks.amp[sounding].tolist()]
        assert (tracks.phase[sounding].tolist() == expected) == match_phases


def test_distances_are_relative_to_the_position_given():
    peaks = peaks_of([[103.0], [100.0]])
    assert len(track_modes(peaks, diff_threshold=5.0).length) == 1
    assert len(track_modes(peaks, diff_threshold=5.0, position=torch.exp2(peaks.location / 12)).length) == 2


def test_no_peaks_give_no_tracks():
    tracks = track_modes(spectral_peaks(torch.zeros(9, 5, dtype=torch.complex64), -80.0))
    assert tracks.length.shape == (0,) and tracks.amp.shape == (0, 0)


def test_an_unknown_first_frame_is_refused():
    with pytest.raises(ValueError, match="'both'"):
        track_modes(peaks_of([[1.0]]), first_frame="both")


def test_phase_passes_through_0_between_wrapped_bins_as_published():
    magnitude = torch.tensor([[0.0, 1.0, 1.0 - 1e-9, 0.0]], dtype=torch.float64)
    phase = torch.tensor([[0.0, math.pi, -math.pi, 0.0]], dtype=torch.float64)
    found = interpolate_peaks(magnitude, phase, find_peaks(magnitude, -80.0))
    assert found.location.item() == pytest.approx(1.5)
    assert found.phase.item() == pytest.approx(0, abs=1e-6)
