"""Curves in and sound out, block by block, by a model that was taken apart into frames and state."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.inference.frame_step import FrameStep
from drumblender.synths.harmonic_stream import NoiseStream


class SteppedStream:
    """Frames of curves in, sound out, by a :class:`FrameStep` or what it was traced or exported to.

    Args:
        step: Its sizes.
        call: What is called with tensors; None: the step itself.
        seed: Of the noise, as of ``TransferStream``.
    """

    def __init__(
        self, step: FrameStep, call: Callable[..., Sequence[Tensor]] | None = None, seed: int = 0
    ) -> None:
        self.step, self._call = step, step if call is None else call
        self._noise = NoiseStream(step.hop_length, step.n_fft, seed) if step.has_noise else None
        self._index = torch.arange(step.last + step.most_frames)
        self._later = [self._index[step.last :][:frames] for frames in range(step.most_frames + 1)]
        self._state: Sequence[Tensor] = step.initial()
        self._count, self._drop = 0, step.late_samples

    def push(self, curves: dict[str, Float[Tensor, "frames"]]) -> Float[Tensor, "samples"]:
        """The sound as far as it is final."""
        if torch.is_inference_mode_enabled():
            return self._pushed(curves)
        with torch.inference_mode():  # a fifth less time
            sound = self._pushed(curves)
        return sound.clone()  # which may be written to

    def _pushed(self, curves: dict[str, Float[Tensor, "frames"]]) -> Tensor:
        if missing := [name for name in self.step.inputs if name not in curves]:
            raise ValueError(f"The model hears {missing}; the curves are {sorted(curves)}.")
        rows = torch.stack([curves[name] for name in self.step.inputs])
        frames, most = rows.shape[1], self.step.most_frames
        if frames > most:
            return torch.cat([self._played(few, few.shape[1]) for few in rows.split(most, dim=1)])
        return self._played(rows, frames) if frames else torch.zeros(0)

    def _played(self, curves: Float[Tensor, "inputs frames"], frames: int) -> Tensor:
        count = self._count
        index = self._later[frames] if count >= self.step.last else self._index[count : count + frames]
        noise = torch.zeros(frames, 0) if self._noise is None else self._noise.frames(frames)
        sound, *self._state = self._call(curves, index, noise, *self._state)
        self._count += frames
        if not self._drop:
            return sound
        dropped = min(self._drop, len(sound))
        self._drop -= dropped
        return sound[dropped:]

    def finish(self) -> Float[Tensor, "samples"]:
        """The rest, up to the last frame."""
        if not self._count:
            return torch.zeros(0)
        return self.step.rest(self._count, *map(torch.as_tensor, self._state))[self._drop :]
