"""What is wrong with a prepared set of melodies: a report, item by item; nothing is changed."""

import csv
import itertools
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.audio_io import read_audio
from drumblender.console import track
from drumblender.data.phrases import PhraseData
from drumblender.data.prepare.manifest import load_manifest
from drumblender.dsp.bands import band_powers
from drumblender.dsp.spectra import power, stft
from drumblender.evaluation.curve_pictures import draw_melodies
from drumblender.features.note_curves import NoteCurves
from drumblender.features.tracking import HIGHEST_HZ, LOWEST_HZ
from drumblender.types import Audio

_AUDIBLE_DB = -60.0
_NEAR_LIMIT = 1.02  # a pitch this near to where the search ends
_FLAT_SAMPLES = 4  # at the peak, in a row
_LIKE = 0.97
_SAME_SEMITONES = 0.5
_PRINT = {"n_fft": 1024, "num_bands": 24, "low_hz": 60.0, "high_hz": 7000.0, "scale": "mel"}
_SHORTEST_FRAMES = 30


@dataclass(frozen=True)
class Finding:
    """What is known of an item; shares are of its audible frames, ``silent`` of all.

    Attributes:
        key: Its key in the manifest.
        source: The recording that it was made from.
        split: Where it belongs.
        seconds: Its length.
        broken: Values that are no numbers, of sound and curves.
        silent: Frames below -60 dB.
        unsure: Frames whose pitch was held, as none was sure.
        at_limit: Sure pitches at an end of what trackers search, 46.9 to 2093.75 Hz.
        polyphonic: Frames in which a tenth of the power of the peaks lies on no harmonic of the pitch. Chords
            that are harmonics of one low note pass for it.
        clipped: Places where four and more samples stay at the peak.
        like: The item of another split that has the same colours at the same pitch, if one does.
    """

    key: str
    source: str
    split: str
    seconds: float
    broken: int
    silent: float
    unsure: float
    at_limit: float
    polyphonic: float
    clipped: int
    like: str = ""

    def complaints(self) -> list[str]:
        """What deserves a look, in words."""
        told = {
            f"{self.broken} values are no numbers": self.broken > 0,
            f"{self.silent:.0%} is silent": self.silent > 0.8,
            f"{self.unsure:.0%} has no sure pitch": self.unsure > 0.5,
            f"{self.at_limit:.0%} of its pitches are at the search limit": self.at_limit > 0.05,
            f"{self.polyphonic:.0%} has more than one note": self.polyphonic > 0.3,
            f"it clips in {self.clipped} places": self.clipped > 3,
            f"it sounds like {self.like} of another split": bool(self.like),
        }
        return [words for words, true in told.items() if true]


def examine(data: PhraseData) -> list[Finding]:
    """Look at every item of a prepared folder.

    Raises:
        FileNotFoundError: It is not prepared, or a file is missing.
    """
    manifest = load_manifest(data.data_dir / data.meta_file)
    split = {key: name for name in ("train", "val", "test") for key in data.keys_of(manifest, name)}
    found, prints = [], {}
    for key in track(list(split), len(split), "Examining"):
        item = manifest[key]
        audio, rate = read_audio(data.data_dir / item.filename)
        curves = torch.load(data.data_dir / item.feature_file, weights_only=True)
        source = item.source or item.filename
        about = key, source, split[key]
        found.append(_examined(about, audio[None], rate, curves, data.curves))
        prints[key] = _print_of(audio[None], rate), _pitch_of(curves, rate, data.hop_length, data.curves)
    return _with_twins(found, prints)


def plot_items(data: PhraseData, folder: Path) -> int:
    """Draw every item of a prepared folder, named as its recording; returns how many."""
    manifest = load_manifest(data.data_dir / data.meta_file)
    folder.mkdir(parents=True, exist_ok=True)
    for key, item in track(list(manifest.items()), len(manifest), "Drawing"):
        audio, rate = read_audio(data.data_dir / item.filename)
        curves = torch.load(data.data_dir / item.feature_file, weights_only=True)
        title = item.source or item.filename
        figure = draw_melodies({title: (audio[None], curves)}, rate, data.hop_length)
        with atomic_write(folder / f"{Path(title).stem}_{key}.png") as aside:
            figure.savefig(aside, format="png", dpi=100)
    return len(manifest)


def write_report(found: list[Finding], path: Path) -> None:
    """All that is known, as CSV."""
    with atomic_write(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*(field.name for field in fields(Finding)), "complaints"])
        writer.writeheader()
        writer.writerows(asdict(one) | {"complaints": "; ".join(one.complaints())} for one in found)


def _examined(
    about: tuple[str, str, str], audio: Audio, rate: int, curves: dict[str, Tensor], measure: NoteCurves
) -> Finding:
    broken = sum(int((~value.isfinite()).sum()) for value in (audio, *curves.values()))
    audio = audio.nan_to_num(posinf=0.0, neginf=0.0)
    heard = curves["loudness_db"] > _AUDIBLE_DB
    sure = heard & (curves["periodicity"] >= measure.hold_below)
    f0_hz = curves["f0_hz"]
    limit = (f0_hz < LOWEST_HZ * _NEAR_LIMIT) | (f0_hz > HIGHEST_HZ / _NEAR_LIMIT)
    return Finding(
        *about,
        audio.shape[-1] / rate,
        broken,
        1 - _share(heard, torch.ones_like(heard)),
        1 - _share(sure, heard) if heard.any() else 0.0,
        _share(limit, sure),
        _share(_many_notes(audio, rate, measure.hop_length, f0_hz), heard),
        _plateaus(audio[0]),
    )


def _share(of: Tensor, among: Tensor) -> float:
    return float((of & among).sum() / among.sum().clamp(min=1))


def _many_notes(audio: Audio, rate: int, hop: int, f0_hz: Float[Tensor, "frames"]) -> Tensor:
    """Frames in which peaks of the spectrum lie off the harmonics, which strings stretch a little."""
    n_fft = 1 << int(0.128 * rate - 1).bit_length()
    spectra = power(stft(audio, n_fft, hop, pad_mode="constant"))[0, : len(f0_hz)]
    inner, freq_hz = spectra[:, 1:-1], torch.arange(1, n_fft // 2) * rate / n_fft
    peaks = (inner > spectra[:, :-2]) & (inner > spectra[:, 2:])
    peaks = peaks & (inner > 1e-4 * inner.amax(dim=1, keepdim=True)) & (freq_hz < 2500)
    order = freq_hz / f0_hz[:, None]
    away_hz = (order - order.round().clamp(min=1)).abs() * f0_hz[:, None]
    off = away_hz > torch.maximum(0.03 * freq_hz, torch.tensor(2.5 * rate / n_fft))
    total = (inner * peaks).sum(dim=1)
    return (inner * (peaks & off)).sum(dim=1) > 0.1 * total


def _plateaus(sound: Float[Tensor, "samples"]) -> int:
    peak = sound.abs().max()
    if not peak > 0.1:
        return 0
    flat = (sound.abs() > 0.9999 * peak).int()
    rows = flat.unfold(0, _FLAT_SAMPLES, 1).all(dim=1).int() if len(flat) >= _FLAT_SAMPLES else flat[:0]
    return int((rows.diff(prepend=rows.new_zeros(1)) > 0).sum())


def _print_of(audio: Audio, rate: int) -> Float[Tensor, "frames bands"]:
    """Colours of frames of 50 ms, each of length 1; silence is 0."""
    settings = _PRINT | {"sample_rate": rate, "hop_length": rate // 20}
    levels = band_powers(audio.nan_to_num(), **settings)[0]
    heard = levels.sum(dim=1) > 1e-4 * levels.sum(dim=1).max().clamp(min=1e-9)
    levels = torch.log(levels + 1e-9)
    levels = levels - levels.mean(dim=1, keepdim=True)
    return torch.where(heard[:, None], torch.nn.functional.normalize(levels, dim=1), 0.0)


def _pitch_of(
    curves: dict[str, Tensor], rate: int, hop_length: int, measure: NoteCurves
) -> Float[Tensor, "frames"]:
    """Semitones in frames of 50 ms, no number where no pitch is sure."""
    pitch = 12 * torch.log2(curves["f0_hz"].clamp(min=1e-3))
    sure = (curves["loudness_db"] > _AUDIBLE_DB) & (curves["periodicity"] >= measure.hold_below)
    pitch = torch.where(sure, pitch, torch.nan)
    places = torch.arange(0, len(pitch) * hop_length, rate // 20) // hop_length
    return pitch[places]


def _alike(one: Tensor, other: Tensor) -> tuple[float, int]:
    """Where they are most alike in time: mean likeness of colours, and how much later it is in one."""
    count = len(one) + len(other)
    products = torch.fft.rfft(one, count, dim=0) * torch.fft.rfft(other, count, dim=0).conj()
    heard = [torch.fft.rfft(part.any(dim=1).float(), count) for part in (one, other)]
    together = torch.fft.irfft(heard[0] * heard[1].conj(), count).round()
    likeness = torch.fft.irfft(products.sum(dim=1), count) / together.clamp(min=1)
    enough = together >= max(_SHORTEST_FRAMES, 0.5 * min(len(one), len(other)))
    best = int(torch.where(enough, likeness, -1.0).argmax())
    return float(likeness[best]) if enough.any() else 0.0, best if best < len(one) else best - count


def _in_tune(one: Tensor, other: Tensor, later: int) -> bool:
    """Whether nothing tells their pitches apart, with one that much later; what has no sure pitch has any."""
    one, other = one[max(later, 0) :], other[max(-later, 0) :]
    frames = min(len(one), len(other))
    apart = (one[:frames] - other[:frames]).abs()
    apart = apart[~apart.isnan()]
    return not len(apart) or float(apart.median()) < _SAME_SEMITONES


def _with_twins(found: list[Finding], prints: dict[str, tuple[Tensor, Tensor]]) -> list[Finding]:
    twins: dict[str, str] = {}
    for one, other in itertools.combinations(found, 2):
        if one.split == other.split:
            continue
        (colour, pitch), (its_colour, its_pitch) = prints[one.key], prints[other.key]
        likeness, later = _alike(colour, its_colour)
        if likeness > _LIKE and _in_tune(pitch, its_pitch, later):
            twins |= {one.key: other.source, other.key: one.source}
    return [Finding(**asdict(one) | {"like": twins.get(one.key, "")}) for one in found]
