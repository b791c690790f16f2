"""Recordings that are made up, for a checkpoint whose own data are not on this machine."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from drumblender.atomic import atomic_write, write_json
from drumblender.audio_io import write_wav
from drumblender.checkpoint_file import own_record, read_checkpoint
from drumblender.data.fake import KINDS, percussion

log = logging.getLogger(__name__)
_ROUNDS, _HITS, _NOTES, _PHRASES = 4, 20, 16, 7
_PARTIALS, _SILENCE_S = 20, 0.35
_ROOM = 1e-3  # RMS of a noise that no recording is without
_OF_THE_DATA = (  # settings that say something of the recordings that are replaced
    "split",
    "remote",
    "labels",
    "url",
    "archive_sha256",
)
_PLAYERS = 6


def made_up_data(checkpoint: Path, folder: Path) -> Path | None:
    """A data configuration of made-up recordings, in place of what a checkpoint was trained with.

    The recordings are drums, hits of one drum from soft to loud, plucked notes, or phrases of them, whatever
    its data module reads; the same every time.

    Args:
        checkpoint: Of ours.
        folder: Where recordings and configuration go; what lies there of an earlier call is used again.

    Returns:
        The configuration; None where the checkpoint's own data are there, or are made up themselves.
    """
    record = own_record(read_checkpoint(checkpoint), checkpoint)
    data = record["config"]["data"]
    given = dict(data.get("init_args") or {})
    place = given.get("data_dir") or given.get("path")
    if place is None or Path(place).exists():
        return None
    rate = record["sample_rate"]
    kind, raw = str(data["class_path"]).rpartition(".")[2], folder / "raw"
    told = "it plays sounds that are made up. Give your own with --data"
    if kind == "FakeDrumsDataModule":
        given["data_dir"], told = str(folder / "prepared"), "they are made anew, as they were"
    else:
        given = {name: value for name, value in given.items() if name not in _OF_THE_DATA}
    if kind == "RemapDataModule":
        _write(_hits(rate), raw, rate)
        given |= {"path": str(raw), "drum": None}
    elif kind == "NSynthDataModule":
        _write_notes(raw, rate)
        given |= {"root": str(raw), "data_dir": str(folder / "prepared")}
    elif kind != "FakeDrumsDataModule":
        if kind == "GuitarSetDataModule":
            sounds = _performances(rate, "comp" if given.get("subset") == "comp" else "solo")
        else:
            sounds = _phrases(rate) if kind == "PhraseDataModule" else _drums(rate)
        _write(sounds, raw, rate)
        given |= {"raw_dir": str(raw), "data_dir": str(folder / "prepared")}
    path = folder / "data.yaml"
    with atomic_write(path) as aside:
        aside.write_text(
            yaml.safe_dump({"class_path": data["class_path"], "init_args": given}, sort_keys=False)
        )
    log.warning("The recordings that it was trained with are not in %s: %s.", place, told)
    return path


def _write(sounds: dict[str, Tensor], folder: Path, rate: int) -> None:
    for name, sound in sounds.items():
        if not (path := folder / f"{name}.wav").is_file():
            write_wav(path, sound, rate)


def _drums(rate: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        f"{kind}_{number}": percussion(kind, generator, num_samples=rate, sample_rate=rate)
        for number in range(_ROUNDS)
        for kind in KINDS
    }


def _hits(rate: int) -> dict[str, Tensor]:
    """One snare, louder and brighter from hit to hit."""
    hit = percussion("snare", torch.Generator().manual_seed(0), num_samples=rate, sample_rate=rate)
    spectrum, bins = torch.fft.rfft(hit), torch.arange(rate // 2 + 1)
    sounds = {}
    for number, force in enumerate(torch.linspace(0.05, 1, _HITS).tolist()):
        dull = 1 / (1 + (bins / (2000 + 10000 * force)) ** 2)
        sounds[f"hit_{number:02}"] = (force * torch.fft.irfft(spectrum * dull, n=rate)).float()
    return sounds


def _phrases(rate: int) -> dict[str, Tensor]:
    """Five plucked notes each, up and down from where it starts, in the noise of a room."""
    generator, sounds = torch.Generator().manual_seed(0), {}
    for number in range(_PHRASES):
        low = 45 + 3 * number
        notes = [
            pluck(low + step, 0.5, 0.6 - 0.05 * place, rate) for place, step in enumerate((0, 4, 7, 12, 5))
        ]
        phrase = torch.cat([*notes, torch.zeros(int(_SILENCE_S * rate))])
        sounds[f"phrase_{number}"] = phrase + _ROOM * torch.randn(phrase.shape, generator=generator)
    return sounds


def _performances(rate: int, part: str) -> dict[str, Tensor]:
    """The phrases, named as GuitarSet's players would."""
    phrases = enumerate(_phrases(rate).values())
    return {f"{number % _PLAYERS:02}_made-up-{number}_{part}_mic": phrase for number, phrase in phrases}


def _write_notes(folder: Path, rate: int) -> None:
    """Notes as NSynth has them, some in each of its splits."""
    splits: Sequence[str] = ("train", "valid", "test")
    examples: dict[str, dict[str, Any]] = {split: {} for split in splits}
    for number in range(_NOTES):
        midi, split = 45 + 2 * number, splits[number % 3]
        name = f"guitar_acoustic_{number % 3:03}-{midi:03}-100"
        examples[split][name] = {
            "pitch": midi,
            "velocity": 100,
            "instrument_str": f"guitar_acoustic_{number % 3:03}",
            "instrument_family_str": "guitar",
            "instrument_source_str": "acoustic",
            "qualities": [0] * 10,
        }
        _write({name: pluck(midi, 4.0, 0.5, rate)}, folder / f"nsynth-{split}" / "audio", rate)
    for split, notes in examples.items():
        write_json(folder / f"nsynth-{split}" / "examples.json", notes)


def pluck(midi: float, seconds: float, peak: float, sample_rate: int) -> Tensor:
    """A string that was plucked at a seventh of its length: float32 ``(samples,)``.

    >>> pluck(69, 0.5, 0.5, 16000).abs().max()
    tensor(0.5000)
    """
    time_s = torch.arange(int(seconds * sample_rate), dtype=torch.float64) / sample_rate
    freq_hz = 440 * 2 ** ((midi - 69) / 12)
    order = torch.arange(1, _PARTIALS + 1, dtype=torch.float64)
    order = order[order * freq_hz < sample_rate / 2][:, None]
    amp = (torch.pi * order / 7).sin() / order
    partials = (
        amp * (2 * torch.pi * freq_hz * order * time_s).sin() * torch.exp(-time_s * (0.8 + 0.6 * order))
    )
    sound = partials.sum(dim=0) * (time_s / 0.002).clamp(max=1)
    fade = ((seconds - time_s) / 0.02).clamp(0, 1)
    return (peak * sound * fade / (sound * fade).abs().max()).float()
