"""GuitarSet as the original Neural Guitar prepared it: ``NAME.pt`` with ``f0``, ``loudness``, ``audio``."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from drumblender.data.items import load_tensors
from drumblender.dsp.units import gain_to_db
from drumblender.features.note_curves import brightness_hz
from drumblender.features.note_position import note_position

_log = logging.getLogger(__name__)

_FIELDS = {"f0", "loudness", "audio"}
_SILENT_DB = -80.0  # after the end of a phrase


class PublishedPhrases(Dataset[dict[str, Any]]):
    """Phrases, whole or a random crop of each: ``audio``, ``f0_hz``, ``loudness_db``, ``name`` and ``file``.

    A crop begins on a frame that torch's global generator draws, as published: never on the last that would
    do, and without a draw where the phrase has no more frames than the crop.

    Args:
        paths: The files, as :func:`published_phrases` finds them.
        hop_length: Samples from frame to frame.
        num_samples: Length of a crop; None: whole phrases.
        pad_short: Fill phrases that are shorter than the crop: with silence, and the last pitch. As published
            they keep their length, so that no batch can be made of them and others.

    Examples:
        >>> from tempfile import mkdtemp
        >>> folder, curve = Path(mkdtemp()), torch.full((1, 26, 1), 220.0)
        >>> stored = {"f0": curve, "loudness": curve / 440, "audio": torch.zeros(1, 4037)}
        >>> torch.save(stored, folder / "one.pt")
        >>> phrases = PublishedPhrases(published_phrases(folder), hop_length=160, num_samples=1600)
        >>> {name: tuple(phrases[0][name].shape) for name in ("audio", "f0_hz", "loudness_db")}
        {'audio': (1600,), 'f0_hz': (10,), 'loudness_db': (10,)}
    """

    def __init__(
        self, paths: Sequence[Path], hop_length: int, num_samples: int | None = None, pad_short: bool = False
    ) -> None:
        if hop_length < 1 or (num_samples is not None and num_samples < hop_length):
            raise ValueError(f"A crop has at least one hop of 1 or more, got {hop_length=}, {num_samples=}.")
        self.paths, self.hop_length = list(paths), hop_length
        self.num_samples, self.pad_short = num_samples, pad_short

    @property
    def keys(self) -> list[str]:
        """The names of the phrases, in order."""
        return [path.stem for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        audio, f0_hz, level = self._stored(self.paths[index])
        if self.num_samples is not None:
            frames = self.num_samples // self.hop_length
            if len(f0_hz) > frames:
                start = int(torch.randint(0, len(f0_hz) - frames, (1,)))
                f0_hz, level = f0_hz[start : start + frames], level[start : start + frames]
                audio = audio[start * self.hop_length :][: self.num_samples]
        loudness_db = gain_to_db(level)
        if self.num_samples is not None and self.pad_short:
            lacks = max(0, self.num_samples // self.hop_length - len(f0_hz))
            audio = F.pad(audio, (0, max(0, self.num_samples - len(audio))))[: self.num_samples]
            f0_hz = torch.cat([f0_hz, f0_hz[-1:].expand(lacks)])
            loudness_db = F.pad(loudness_db, (0, lacks), value=_SILENT_DB)
        name = self.paths[index].stem
        return {"audio": audio, "f0_hz": f0_hz, "loudness_db": loudness_db, "name": name, "file": name}

    def measured(self, sample_rate: int) -> list[dict[str, Tensor]]:
        """Every phrase whole, with what can be measured of it: ``brightness_hz``, ``age_s`` and ``peak_db``.

        How sure a pitch was is not in these files: ``periodicity`` is 1, and a pitch counts in every frame.
        """
        phrases = []
        for path in self.paths:
            audio, f0_hz, level = self._stored(path)
            loudness_db, sure = gain_to_db(level), torch.ones_like(f0_hz)
            frame_s = self.hop_length / sample_rate
            age_s, peak_db = note_position(f0_hz[None], loudness_db[None], sure[None], frame_s)
            bright = brightness_hz(audio[None], sample_rate, self.hop_length)[0]
            curves = {"f0_hz": f0_hz, "periodicity": sure, "loudness_db": loudness_db}
            curves |= {"age_s": age_s[0], "peak_db": peak_db[0]}
            lacks = max(0, len(f0_hz) - len(bright))  # where the sound was cut to its frames
            bright = torch.cat([bright, bright[-1:].expand(lacks)])[: len(f0_hz)]
            phrases.append({"audio": audio} | curves | {"brightness_hz": bright})
        return phrases

    def _stored(self, path: Path) -> tuple[Tensor, Tensor, Tensor]:
        """Samples, Hz and linear level."""
        stored = load_tensors(path)
        audio, f0_hz, level = (stored[name].float().flatten() for name in ("audio", "f0", "loudness"))
        frames, hop = len(f0_hz), self.hop_length
        if len(level) != frames or not (frames - 1) * hop <= len(audio) <= frames * hop:
            raise ValueError(
                f"{path}: {frames} pitches and {len(level)} levels are not {len(audio)} samples by {hop}."
            )
        return audio, f0_hz, level


def is_published(folder: Path) -> bool:
    """Whether the original code prepared a folder."""
    return any(_content(path) is not None for path in sorted(folder.glob("**/*.pt")))


def published_phrases(folder: Path) -> list[Path]:
    """The phrases below a folder, in order; those with numbers that are none are left out, as published.

    Raises:
        ValueError: There is none.
    """
    good, bad = [], []
    for path in sorted(folder.glob("**/*.pt")):
        content = _content(path)
        finite = content is not None and all(content[name].isfinite().all() for name in _FIELDS)
        (good if finite else bad).append(path)
    if not good:
        raise ValueError(f"{folder} holds no phrase with {', '.join(sorted(_FIELDS))}.")
    if bad:
        names = ", ".join(path.name for path in bad[:3])
        _log.warning("%s: %d files are damaged or not finite, and left out: %s.", folder, len(bad), names)
    return good


def _content(path: Path) -> dict[str, Tensor] | None:
    """What a file holds, if that is a phrase."""
    try:
        stored = load_tensors(path)
    except ValueError:
        return None
    whole = isinstance(stored, dict) and stored.keys() >= _FIELDS
    return stored if whole and all(isinstance(stored[name], Tensor) for name in _FIELDS) else None
