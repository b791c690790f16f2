"""Where a search for a pitched sound starts."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

LOWEST_HZ, HIGHEST_HZ = 30.0, 2500.0
_HOP_S = 0.016


def guess_f0(
    audio: Float[Tensor, "samples"], sample_rate: int, num_frames: int = 1
) -> Float[Tensor, "1 {num_frames} 1"]:
    """The fundamental in Hz by probabilistic YIN (Mauch and Dixon 2014), from librosa.

    Frames without a pitch get one on a line between their neighbours. A single frame is the median of the
    frames with a pitch.

    Raises:
        ValueError: The sound has no pitch anywhere.
    """
    import librosa  # slow to import

    highest = min(HIGHEST_HZ, sample_rate / 4)
    hop = max(1, round(_HOP_S * sample_rate))
    length = 1 << int(np.ceil(np.log2(4 * sample_rate / LOWEST_HZ)))  # four periods of the lowest pitch
    length = min(length, 1 << int(np.log2(max(len(audio), 64))))
    lowest = max(LOWEST_HZ, 2.5 * sample_rate / length)
    f0_hz, voiced, _ = librosa.pyin(
        audio.cpu().double().numpy(),
        fmin=lowest,
        fmax=highest,
        sr=sample_rate,
        frame_length=length,
        hop_length=hop,
    )
    if not voiced.any():
        raise ValueError(
            f"Found no pitch between {lowest:.0f} and {highest:.0f} Hz; give it with --fix f0_hz=HZ."
        )
    if num_frames == 1:
        return torch.tensor([[[np.median(f0_hz[voiced])]]], dtype=torch.float32)
    places = np.linspace(0, len(f0_hz) - 1, num_frames)
    line = np.interp(places, np.flatnonzero(voiced), np.log2(f0_hz[voiced]))
    return torch.from_numpy(2**line).float().reshape(1, num_frames, 1)
