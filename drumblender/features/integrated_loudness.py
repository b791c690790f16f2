"""Loudness of a whole sound that comes block by block, as broadcasters measure it."""

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor

_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773
_OFFSET_DB = -0.691  # so that a sine of 997 Hz at full scale has -3.01 LUFS
_STEP_S, _STEPS = 0.1, 4  # of a block of 400 ms
_SILENT_LUFS, _BELOW_LU = -70.0, -10.0


class IntegratedLoudness:
    """Integrated loudness of one channel in LUFS, with both gates (ITU-R BS.1770-5, annex 1).

    Blocks of 400 ms, one each 100 ms: those below -70 LUFS do not count, nor then those 10 LU below the mean
    of the rest. A sound that is shorter is one block. What is kept grows by 80 bytes a second.

    Args:
        sample_rate: Samples per second, more than 3364.

    Examples:
        >>> import torch
        >>> meter = IntegratedLoudness(48000)
        >>> tone = torch.sin(2 * torch.pi * 997 / 48000 * torch.arange(144000))
        >>> for block in (tone[:100], tone[100:]):
        ...     meter.push(block)
        >>> round(meter.lufs(), 2)
        -3.01
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate <= 2 * _SHELF_HZ:
            raise ValueError(
                f"K-weighting needs a sample rate above {2 * _SHELF_HZ:.0f} Hz, got {sample_rate}."
            )
        from scipy.signal import sosfilt  # slow to import

        self._filter, self._weights = sosfilt, _k_weights(sample_rate)
        self._memory = np.zeros((2, 2))
        self._step = round(_STEP_S * sample_rate)
        self._rest = np.zeros(0)  # squares that fill no step yet
        self._powers: list[float] = []

    def push(self, block: Float[Tensor, "samples"]) -> None:
        """The next samples."""
        if not len(block):
            return
        weighed, self._memory = self._filter(self._weights, block.double().numpy(), zi=self._memory)
        squares = np.concatenate([self._rest, weighed**2])
        whole = len(squares) // self._step * self._step
        self._powers += squares[:whole].reshape(-1, self._step).mean(axis=1).tolist()
        self._rest = squares[whole:]

    def lufs(self) -> float:
        """Of all so far; minus infinity where all is silent."""
        powers = np.array(self._powers)
        if len(powers) < _STEPS:
            count = len(powers) * self._step + len(self._rest)
            blocks = np.array([(powers.sum() * self._step + self._rest.sum()) / max(1, count)])
        else:
            blocks = np.lib.stride_tricks.sliding_window_view(powers, _STEPS).mean(axis=1)
        heard = blocks[blocks > _power_of(_SILENT_LUFS)]
        heard = heard[heard > 10 ** (_BELOW_LU / 10) * heard.mean()] if len(heard) else heard
        return _OFFSET_DB + 10 * math.log10(heard.mean()) if len(heard) else -math.inf


def _power_of(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET_DB) / 10)


def _k_weights(sample_rate: int) -> np.ndarray:
    """The two stages, ``(2, 6)``, by the bilinear transform: at 48 kHz those that the standard prints."""
    at = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10 ** (_SHELF_DB / 20)
    middle = high**0.4996667741545416
    whole = 1 + at / _SHELF_Q + at**2
    poles = np.array([whole, 2 * (at**2 - 1), 1 - at / _SHELF_Q + at**2])
    side = middle * at / _SHELF_Q
    shelf = np.array([high + side + at**2, 2 * (at**2 - high), high - side + at**2])
    first = np.concatenate([shelf, poles]) / whole
    at = math.tan(math.pi * _PASS_HZ / sample_rate)
    whole = 1 + at / _PASS_Q + at**2
    poles = np.array([whole, 2 * (at**2 - 1), 1 - at / _PASS_Q + at**2]) / whole
    return np.stack([first, np.concatenate([[1.0, -2.0, 1.0], poles])])
