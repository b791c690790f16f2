"""Whether KAD grows with each of five degradations: ``python -m experiments.evaluation.sanity OUTPUT.md``.

What is judged are the sounds of the reference, as in target/ and pred/ of a test: as they are, and degraded
in four steps. The drums are made up; with ``--kicks FOLDER --snares FOLDER`` they are recordings as well.
"""

import argparse
import datetime
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.audio_io import read_audio
from drumblender.dsp.resample import hann_resample
from drumblender.evaluation.embeddings import Embedding, build_embedding
from drumblender.evaluation.kad import kernel_audio_distance
from drumblender.sound_files import find_sounds

RATE = 44100
Sound = Float[Tensor, "samples"]

STEPS: dict[str, tuple[str, Sequence[float]]] = {
    "noise": ("dB below the sound", (40, 25, 10, -5)),
    "low-pass": ("Hz", (8000, 4000, 2000, 1000)),
    "smear": ("ms", (5, 20, 80, 320)),
    "gain": ("dB", (-3, -6, -12, -24)),
    "wrong instrument": ("% of the sounds", (25, 50, 75, 100)),
}


def degrade(kind: str, amount: float, sound: Sound, generator: torch.Generator) -> Sound:
    """One sound, worse.

    Args:
        kind: One of ``STEPS`` but the wrong instrument.
        amount: In the unit that ``STEPS`` has for it.
        sound: At 44.1 kHz.
        generator: Of the noise.
    """
    if kind == "gain":
        return sound * 10 ** (amount / 20)
    noise = torch.randn(len(sound), generator=generator)
    if kind == "noise":
        return sound + noise * sound.square().mean().sqrt() * 10 ** (-amount / 20)
    size = 2 * len(sound)
    spectrum = torch.fft.rfft(sound, size)
    if kind == "low-pass":  # of second order
        freq_hz = torch.fft.rfftfreq(size, 1 / RATE)
        return torch.fft.irfft(spectrum / (1 + (freq_hz / amount) ** 2), size)[: len(sound)]
    if kind != "smear":
        raise ValueError(f"No degradation {kind!r}; there are {', '.join(STEPS)}.")
    fade = noise * torch.exp(-torch.arange(len(sound)) * (6.9078 / (amount / 1000 * RATE)))
    turned = torch.fft.rfft(fade, size)
    turned = turned / turned.abs().clamp(min=1e-12)  # phases alone: when, not what, sounds
    return torch.fft.irfft(spectrum * turned, size)[: len(sound)]


def made_up_drums(count: int, kind: str, seed: int = 0) -> list[Sound]:
    """Kicks (one falling sine) or snares (two sines and a burst of noise), each another, for 0.5 s."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(RATE // 2) / RATE
    sounds = []
    for _ in range(count):
        pitch, fade, level, click = torch.rand(4, generator=generator).tolist()
        noise = torch.randn(len(time), generator=generator)
        if kind == "kicks":
            sweep = 50 * 2 ** (0.8 * pitch) * (time + 0.06 * (1 - torch.exp(-time / 0.03)))
            sound = torch.sin(2 * torch.pi * sweep) * torch.exp(-time * (8 + 12 * fade))
            sound = sound + 0.05 * click * noise * torch.exp(-time * 400)
        else:
            tones = sum(torch.sin(2 * torch.pi * (170 + 90 * pitch) * ratio * time) for ratio in (1, 1.8))
            sound = 0.3 * tones * torch.exp(-time * 25) + 0.25 * noise * torch.exp(-time * (12 + 20 * fade))
        sounds.append((0.4 + 0.5 * level) * sound)
    return sounds


def recordings(folder: Path, limit: int = 100) -> list[Sound]:
    """The first sounds of a folder, a second of each, at 44.1 kHz."""
    files = find_sounds(folder)[:limit]
    if len(files) < 8:
        raise ValueError(f"{folder} has {len(files)} sounds; 8 are needed at least.")
    sounds = []
    for path in files:
        audio, rate = read_audio(path, channel="mean")
        sounds.append(hann_resample(audio[None], rate, RATE)[0, :RATE])
    return sounds


def measure(right: list[Sound], wrong: list[Sound], embedding: Embedding) -> dict[str, list[float]]:
    """KAD of a set, first as it is, then of each step of each degradation.

    Args:
        right: The reference, and what is judged.
        wrong: Sounds of another instrument.
        embedding: At 44.1 kHz.
    """
    reference, other = _points(right, embedding), _points(wrong[: len(right)], embedding)
    rows = {}
    for kind, (_, amounts) in STEPS.items():
        row = [kernel_audio_distance(reference, reference, bandwidth_of="target").value]
        for amount in amounts:
            if kind == "wrong instrument":
                swapped = round(len(other) * amount / 100)
                points = torch.cat([reference[swapped:], other[:swapped]])
            else:
                generator = torch.Generator().manual_seed(0)
                points = _points([degrade(kind, amount, s, generator) for s in right], embedding)
            row.append(kernel_audio_distance(reference, points, bandwidth_of="target").value)
        rows[kind] = row
    return rows


def _points(sounds: Sequence[Sound], embedding: Embedding) -> Float[Tensor, "sounds dimensions"]:
    resampled = (hann_resample(sound[None], RATE, embedding.sample_rate)[0] for sound in sounds)
    return torch.stack([embedding.embed(sound) for sound in resampled])


def grows(row: Sequence[float]) -> bool:
    """Whether each step is farther away than the one before."""
    return all(math.isfinite(b) and a < b for a, b in zip(row, row[1:], strict=False))


def table(title: str, rows: dict[str, list[float]]) -> str:
    """A Markdown table, a degradation in each row, and whether its distances grow."""
    lines = [f"### {title}", "", "| degradation | as it is | 1 | 2 | 3 | 4 | grows |", "|---" * 7 + "|"]
    for kind, row in rows.items():
        unit, amounts = STEPS[kind]
        steps = ", ".join(f"{amount:g}" for amount in amounts)
        cells = " | ".join(f"{value:.2f}" for value in row)
        lines.append(f"| {kind}: {steps} {unit} | {cells} | {'yes' if grows(row) else '**no**'} |")
    return "\n".join([*lines, ""])


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.evaluation.sanity", description=__doc__)
    parser.add_argument("output", type=Path, help="the Markdown file to write")
    parser.add_argument("--kicks", type=Path, help="a folder of recordings")
    parser.add_argument("--snares", type=Path, help="another")
    parser.add_argument("--embeddings", nargs="+", default=["mfcc", "aisfx"])
    parser.add_argument("--count", type=int, default=60, help="of each made-up drum (default: 60)")
    given = parser.parse_args(args)
    drums: dict[str, Callable[[str], list[Sound]]] = {
        "made-up": lambda kind: made_up_drums(given.count, kind, seed=len(kind))
    }
    if given.kicks and given.snares:
        drums["recorded"] = lambda kind: recordings(getattr(given, kind))
    parts: list[str] = []
    for name, make in drums.items():
        snares, kicks = make("snares"), make("kicks")
        for embedding in given.embeddings:
            rows = measure(snares, kicks, build_embedding(embedding))
            parts.append(table(f"{embedding}, {len(snares)} {name} snares", rows))
    head = (
        "KAD of a set of snares to itself, below 0 as that of any copy, then to itself made worse and worse. "
        "Bandwidth of the reference. The wrong instrument is a kick. "
        "`python -m experiments.evaluation.sanity OUTPUT [--kicks FOLDER --snares FOLDER]`, "
        f"{datetime.date.today()}.\n"
    )
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text("\n".join([head, *parts]), encoding="utf-8")
    print(given.output)


if __name__ == "__main__":
    main()
