"""Cuts a modal bank into blocks: within one, an amplitude is a line and a phase is a parabola."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drumblender.dsp.envelopes import Align
from drumblender.dsp.tables import placed, table

MAX_BLOCK = 256
"""Samples: sums over a block are kept in float32."""


class Blocks(NamedTuple):
    """Spans of samples between two neighbouring frames, in order and without gaps."""

    start: Tensor  # first sample of each block, and the end: (blocks + 1), int64
    left: Tensor  # frame before the block (int64) ...
    right: Tensor  # ... and after it; the same one before the first and after the last frame
    position: Tensor  # of the first sample between the two, 0 to 1, float64
    step: float  # frames a sample
    longest: int  # samples in the longest block


def cut_blocks(num_frames: int, num_samples: int, align: Align, like: Tensor) -> Blocks:
    """The blocks, on the device of ``like``."""
    blocks = _cut(num_frames, num_samples, align)
    return Blocks(*(placed(part, like, part.dtype) for part in blocks[:4]), *blocks[4:])


@table
def _cut(num_frames: int, num_samples: int, align: Align) -> Blocks:
    """Cut a sound where a frame lies, and evenly in between where frames are over MAX_BLOCK samples apart."""
    # Sample n lies at frame position (scale n + shift) / share: integers, so that no cut is off by one.
    if align == "hop" and num_frames > 1:
        scale, shift, share = num_frames - 1, 0, num_samples
    else:
        scale, shift, share = 2 * num_frames, num_frames - num_samples, 2 * num_samples
    parts = -(-share // (scale * MAX_BLOCK))
    # Cut c lies at frame position c / parts - 1, so the first and the last reach past the outermost frames.
    cuts = np.arange((num_frames + 1) * parts + 1)
    edges = -(-((cuts - parts) * share - shift * parts) // (scale * parts))
    start = np.unique(np.concatenate([edges.clip(0, num_samples), [0, num_samples]]))
    frame, rest = np.divmod(scale * start[:-1] + shift, share)
    left, right = frame.clip(0, num_frames - 1), (frame + 1).clip(0, num_frames - 1)
    tables = (torch.from_numpy(values) for values in (start, left, right, rest / share))
    return Blocks(*tables, step=scale / share, longest=int(np.diff(start).max()))


def chirps_plain(freq_rad: Tensor, amp: Tensor, phase_rad: Tensor, blocks: Blocks) -> tuple[Tensor, ...]:
    """Coefficients of the modes in every block, from frames ``(batch, frames, modes)``.

    At sample k of a block a mode is ``(amp + k amp_step) sin(2 pi turns[k])``, where ``turns[k]`` is
    ``turns + (k + 1) turns_step + k (k + 1) / 2 turns_bend``.

    Returns:
        ``turns, turns_step, turns_bend`` in float64, ``amp, amp_step``: each ``(batch, blocks, modes)``.
    """
    position, size = blocks.position[:, None], blocks.start.diff()[:, None]
    freq, slope = _line(freq_rad.double() / (2 * math.pi), blocks)
    turns_step, turns_bend = freq + slope * position, slope * blocks.step
    advance = size * turns_step + (size * (size - 1) / 2) * turns_bend
    turns = phase_rad[:, None].double() / (2 * math.pi) + advance.cumsum(dim=1) - advance
    amp, slope = _line(amp, blocks)
    return turns, turns_step, turns_bend, amp + slope * position.float(), slope * blocks.step


def _line(frames: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Value at the left frame of each block and what the right frame adds: (batch, blocks, modes)."""
    left = frames.index_select(1, blocks.left)
    return left, frames.index_select(1, blocks.right) - left
