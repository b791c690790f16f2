"""A recording of any length, heard a few seconds at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.audio_io import header_of, read_blocks
from drumblender.dsp.offset import offset_of
from drumblender.dsp.resample import hann_resample
from drumblender.open_sound import BadAudioError

BLOCK_S, MARGIN_S = 20, 1
"""Whole seconds, which are whole samples at every rate: of a block, and of what is heard around it."""
_SILENT = 1e-4  # -80 dB: taking a smaller offset away could only move an onset that hangs by a thread


class Streamed(NamedTuple):
    """A recording that was read once through, so that what is wrong with it is known; mean of its channels.

    Attributes:
        path: The file.
        sample_rate: In Hz.
        frames: Samples of a channel.
        offset: Its direct current, if that is more than -80 dB and would pass for sound: :meth:`blocks` are
            without it.

    Examples:
        >>> import tempfile
        >>> from drumblender.audio_io import write_wav
        >>> file = Path(tempfile.mkdtemp()) / "a.wav"
        >>> write_wav(file, torch.zeros(50 * 8000), 8000)
        >>> [(len(heard), before, size) for heard, before, size in Streamed.of(file).overlapped(16000)]
        [(336000, 0, 320000), (352000, 16000, 320000), (176000, 16000, 160000)]
    """

    path: Path
    sample_rate: int
    frames: int
    offset: float = 0.0

    @classmethod
    def of(cls, path: Path) -> "Streamed":
        """Read a recording through; no more than a block of it is in memory.

        Raises:
            BadAudioError: As :func:`~drumblender.audio_io.read_audio`, whatever the length.
        """
        rate, frames = header_of(path)[0], 0

        def counted() -> Iterator[Tensor]:
            nonlocal frames
            for block in read_blocks(path):
                frames += len(block)
                yield block

        offset = offset_of(counted(), rate)
        if not frames:
            raise BadAudioError(path, "holds no samples")
        return cls(path, rate, frames, offset if abs(offset) > _SILENT else 0.0)

    def blocks(self) -> Iterator[Float[Tensor, "samples"]]:
        """The sound, a few seconds at a time."""
        for block in read_blocks(self.path):
            yield block - self.offset if self.offset else block

    def overlapped(self, sample_rate: int) -> Iterator[tuple[Float[Tensor, "samples"], int, int]]:
        """The sound at another rate, in blocks of 20 s with a second around each.

        Yields:
            The samples, how many of them come before the block, and how many the block itself has.
        """
        rate, blocks = self.sample_rate, self.blocks()
        held, first = torch.zeros(0), 0  # the sound from sample `first` on
        for start in range(0, self.frames, BLOCK_S * rate):
            gone = max(0, start - MARGIN_S * rate) - first
            held, first = held[gone:], first + gone
            parts, end = [held], start + (BLOCK_S + MARGIN_S) * rate - first
            while sum(map(len, parts)) < end and (block := next(blocks, None)) is not None:
                parts.append(block)
            held = torch.cat(parts)
            length = -(-min(BLOCK_S * rate, self.frames - start) * sample_rate // rate)
            before = (start - first) // rate * sample_rate
            yield hann_resample(held[None, :end], rate, sample_rate)[0], before, length
