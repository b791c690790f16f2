"""Joins the peaks of successive frames to tracks, one frame after the other (not differentiable)."""

import numpy as np

from drumblender.dsp.kernels.jit import jit


@jit
def assign_peaks(steps, position, max_distance, first_is_one_track):
    """Give every peak to a track.

    Args:
        steps: ``(steps + 1,)``, where the peaks of each step begin and the last ones end.
        position: ``(peaks,)``, ascending within a step.
        max_distance: A track takes a peak nearer than this times the track's own last position.
        first_is_one_track: Take the first step's peaks for one track instead of one each.

    Returns:
        track: ``(peaks,)``, the number of each peak's track, in order of birth.
        phase_from: ``(peaks,)``, the peak whose phase the published features have in its place: as many
            places from the lowest of its step as there were free peaks below it; for the first of the n-th
            track, the n-th of all (after the first step, if that is one track).
        num_tracks: How many there are.
    """
    num_peaks = len(position)
    track = np.zeros(num_peaks, dtype=np.int64)
    phase_from = np.arange(num_peaks)
    last = np.empty(num_peaks)
    free = np.ones(num_peaks, dtype=np.bool_)
    num_tracks = 0
    for step in range(len(steps) - 1):
        start, stop = steps[step], steps[step + 1]
        for number in range(num_tracks):
            above = start + np.searchsorted(position[start:stop], last[number])
            below = above - 1
            while above < stop and not free[above]:
                above += 1
            while below >= start and not free[below]:
                below -= 1
            nearest = below
            if below < start or (
                above < stop and position[above] - last[number] < last[number] - position[below]
            ):
                nearest = above
            if nearest == stop or not abs(position[nearest] - last[number]) < max_distance * last[number]:
                continue
            free[nearest] = False
            track[nearest] = number
            last[number] = position[nearest]
            phase_from[nearest] = start + free[start:nearest].sum()
        if num_tracks == 0 and first_is_one_track and stop > start:
            last[0] = position[stop - 1]
            num_tracks = 1
            continue
        for peak in range(start, stop):
            if free[peak]:
                track[peak] = num_tracks
                phase_from[peak] = num_tracks + (steps[1] - 1 if first_is_one_track else 0)
                last[num_tracks] = position[peak]
                num_tracks += 1
    return track, phase_from, num_tracks


@jit
def lay_out_tracks(steps, track, first_is_one_track, values, out, length):
    """Write the tracks, the last step at column 0; a track without a peak holds its value.

    Args:
        steps, track, first_is_one_track: As above.
        values: ``(quantities, peaks)``.
        out: ``(quantities, tracks, columns)``, zeros; columns are the steps, and before them (at higher
            columns) room for a first step that is one track. The last quantity is not held: it is 0.
        length: ``(tracks,)``, filled with the columns that each track covers.
    """
    num_steps = len(steps) - 1
    num_held = values.shape[0] - 1
    alive = 0
    for step in range(num_steps):
        column = num_steps - 1 - step
        for number in range(alive):
            for quantity in range(num_held):
                out[quantity, number, column] = out[quantity, number, column + 1]
        single = step == 0 and first_is_one_track
        for peak in range(steps[step], steps[step + 1]):
            number = track[peak]
            offset = steps[step + 1] - 1 - peak if single else 0
            for quantity in range(num_held + 1):
                out[quantity, number, column + offset] = values[quantity, peak]
            if number >= alive:
                length[number] = column + offset + 1
                alive = number + 1
