"""A recording of one hit as the drums system wants it: mono, from its onset, of one length."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from drumblender.audio_io import LONGEST_S, Channel, Offset, read_recording, too_long, write_wav
from drumblender.open_sound import BadAudioError

SILENCE_DB = -60.0


def first_non_silent_sample(
    audio: Float[Tensor, " samples"],
    frame_size: int = 256,
    hop_length: int = 256,
    threshold_db: float = SILENCE_DB,
) -> int | None:
    """Where the first loud enough block starts; None in silence.

    Blocks of ``frame_size`` follow each other without overlap; the last may be shorter. The published
    preparation multiplies the block's number by ``hop_length``, so the two should be equal.

    Args:
        audio: One channel.
        frame_size: Samples in a block.
        hop_length: Samples that each block before the loud one counts.
        threshold_db: A block is loud when its mean square lies above this.
    """
    if min(frame_size, hop_length) < 1:
        raise ValueError(f"Blocks need at least 1 sample, got {frame_size=} and {hop_length=}.")
    whole = len(audio) // frame_size * frame_size
    power = audio[:whole].reshape(-1, frame_size).square().mean(dim=1)
    if whole < len(audio):
        power = torch.cat([power, audio[whole:].square().mean()[None]])
    loud = (power > 10 ** (threshold_db / 10)).nonzero()
    return int(loud[0]) * hop_length if len(loud) else None


def cut_start_silence(
    audio: Float[Tensor, "channels samples"], threshold_db: float = SILENCE_DB
) -> Float[Tensor, "channels rest"]:
    """Drop what precedes the first loud block of any channel.

    Raises:
        BadAudioError: Every channel is silent.
    """
    starts = [first_non_silent_sample(channel, threshold_db=threshold_db) for channel in audio]
    heard = [start for start in starts if start is not None]
    if not heard:
        raise BadAudioError(None, f"is silent (below {threshold_db:g} dB)")
    return audio[:, min(heard) :]


def fit_length(audio: Float[Tensor, "*any samples"], num_samples: int) -> Float[Tensor, "*any fitted"]:
    """Cut the end, or append zeros, to ``num_samples``."""
    return functional.pad(audio[..., :num_samples], (0, max(0, num_samples - audio.shape[-1])))


def one_shot(
    path: Path,
    sample_rate: int,
    num_samples: int | None = None,
    *,
    channel: Channel = "auto",
    dc: Offset = "remove",
    remove_start_silence: bool = True,
    silence_threshold_db: float = SILENCE_DB,
    min_samples: int = 1,
    longest_s: float = LONGEST_S,
) -> Float[Tensor, " samples"]:
    """One hit from a file: mono, resampled, from its onset, of ``num_samples``.

    Args:
        path: A sound file.
        sample_rate: Of the result.
        num_samples: Length of the result; None keeps what there is.
        channel: What becomes of several channels.
        dc: Remove a constant offset, which would pass for sound, or keep it, as published.
        remove_start_silence: Cut the silence before the hit.
        silence_threshold_db: What counts as silence.
        min_samples: Fewer than these, after the cut, are too few.
        longest_s: Seconds that are read at most; where the hit starts later, the recording counts as silent.

    Raises:
        BadAudioError: Unreadable, silent or too short; says which and names the file.
    """
    audio, _, heard, whole = read_recording(path, sample_rate, channel, dc=dc, longest_s=longest_s)
    if num_samples is None and not whole:
        raise BadAudioError(path, too_long(longest_s))
    if remove_start_silence:
        start = first_non_silent_sample(audio, threshold_db=silence_threshold_db)
        if start is None:
            raise BadAudioError(path, _silent(silence_threshold_db, heard, None if whole else longest_s))
        audio = audio[start:]
    if len(audio) < min_samples:
        raise BadAudioError(path, f"is too short ({len(audio)} of at least {min_samples} samples)")
    return audio if num_samples is None else fit_length(audio, num_samples)


def _silent(threshold_db: float, channel: str, longest_s: float | None) -> str:
    """The reason, with all that it depends on."""
    where = f" in {channel}" if channel else ""
    until = f" for the first {longest_s:g} s" if longest_s is not None else ""
    return f"is silent (below {threshold_db:g} dB{where}{until})"


def preprocess_audio_file(
    input_file: Path,
    output_file: Path,
    sample_rate: int,
    num_samples: int | None = None,
    channel: Channel = "first",
    remove_start_silence: bool = True,
    silence_threshold_db: float = SILENCE_DB,
) -> None:
    """``one_shot`` from file to 32-bit float WAV file, as published: with its offset.

    Raises what ``one_shot`` and ``write_wav`` raise.
    """
    audio = one_shot(
        input_file,
        sample_rate,
        num_samples,
        channel=channel,
        dc="keep",
        remove_start_silence=remove_start_silence,
        silence_threshold_db=silence_threshold_db,
    )
    write_wav(output_file, audio, sample_rate)
