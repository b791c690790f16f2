"""`drumblender pitch`: the pitch of recordings, as tables."""

import argparse
import csv
import logging
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.audio_io import read_audio, write_wav
from drumblender.checkpoints import Loaded, load_played
from drumblender.console import track as progress
from drumblender.dsp.harmonics import harmonic_bank
from drumblender.features.note_segments import segment_notes
from drumblender.features.trackers import TRACKERS, tracker
from drumblender.features.tracking import Track, Tracker
from drumblender.inference.folders import tell_written
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.streamed import Streamed
from drumblender.open_sound import BadAudioError
from drumblender.sound_files import check_apart, distinct_outputs, find_sounds_outside
from drumblender.tasks import PitchVoices
from drumblender.trust import Trust, trusted

log = logging.getLogger(__name__)
_SEMITONE = 3  # bins of pitch to either side that count as one pitch
_SILENCE = 1e-4
_PARTIALS = 6  # of the tone that sings a track
_STRETCH_HOP_S = 0.02  # of stretches of a quarter of a second; frames between are on lines


class NetworkTracker(Tracker):
    """A network that :class:`~drumblender.tasks.pitch.PitchTask` trained.

    It hears what it was trained on: frames of one constant-Q transform of the sound, or, where its transform
    is averaged over a tone, stretches as long as those tones and as loud. The pitch is the mean of its bins
    within a semitone of the strongest, and confidence their share; silence has none.

    Args:
        task: Its controller hears a constant-Q transform and ends in a pitch head.
        num_samples: Length of the tones it was trained on, where its transform is averaged over them.
        hop_s, threshold: As every tracker.
    """

    threshold = 0.6

    def __init__(
        self, task: PitchVoices, num_samples: int = 4096, hop_s: float = 0.01, threshold: float | None = None
    ) -> None:
        super().__init__(hop_s, threshold)
        self.sample_rate, self.num_samples = task.sample_rate, num_samples
        controls = task.voices["tone"].controls
        self.encoder, self.head = controls.encoder.eval(), controls.head.eval()
        # the lowest bin hears 1.6 s
        self.reach_s = num_samples / 2 / self.sample_rate if self.encoder.cqt.reduce else 0.8

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        heard, loud, hop = self._stretches(audio) if self.encoder.cqt.reduce else self._frames(audio)
        features = self.encoder(heard[None]) if self.encoder.cached else self.encoder.net(heard)[None]
        shares = self.head.pitch(features)[1][0, :, 0]
        bins = torch.arange(shares.shape[1])
        near = shares * ((bins - shares.argmax(dim=1, keepdim=True)).abs() <= _SEMITONE)
        sure = near.sum(dim=1)
        # Where two octaves share the bins, the mean of all of them lies between and is neither.
        place = (near * bins).sum(dim=1) / sure / bins[-1]
        at = np.arange(len(heard)) * hop / self.sample_rate
        return at, self.head.range_hz.denormalize(place).numpy(), (sure * loud).numpy()

    def _frames(self, audio: Tensor) -> tuple[Tensor, Tensor, int]:
        """Frames of one transform, which are louder than silence, and samples from each to the next."""
        transform = self.encoder.cqt
        heard = transform(audio[None])[0]
        silence = 20 * math.log(_SILENCE) if transform.log else _SILENCE
        return heard, heard.amax(dim=1) > silence, transform.settings.hop_length

    def _stretches(self, audio: Tensor) -> tuple[Tensor, Tensor, int]:
        """The same of transforms of stretches around each time, with a peak of 0.9, as tones have it."""
        hop = round(_STRETCH_HOP_S * self.sample_rate)
        half = self.num_samples // 2
        stretches = torch.nn.functional.pad(audio, (half, half)).unfold(0, self.num_samples, hop)
        peaks = stretches.abs().amax(dim=1, keepdim=True)
        parts = (0.9 * stretches / (peaks + 1e-7)).split(128)
        return torch.cat([self.encoder.cqt(part)[:, 0] for part in parts]), peaks[:, 0] > _SILENCE, hop


def make_tracker(name: str | None, trust: Trust | None = None, **settings: object) -> Tracker:
    """A tracker by its name, or by the checkpoint of a trained one: a file, or the name of one that ships.

    Raises:
        ValueError: No such tracker, or the checkpoint holds no pitch network.
    """
    if name is None or name in TRACKERS:
        return tracker(name, **settings)
    try:
        checkpoint = find_checkpoint(name)
    except FileNotFoundError as error:
        known = ", ".join(TRACKERS)
        raise ValueError(f"A tracker is one of {known} or a checkpoint, got {name!r}. {error}") from None
    loaded = load_played(checkpoint, trust)
    if not isinstance(loaded.task, PitchVoices):
        raise ValueError(f"{name} holds a {loaded.kind}; a tracker is a PitchTask.")
    return network_tracker(loaded, **settings)


def network_tracker(loaded: Loaded, **settings: object) -> NetworkTracker:
    """The tracker that a checkpoint holds; it hears stretches as long as the sounds of its training."""
    return NetworkTracker(loaded.task, getattr(loaded.data, "num_samples", 4096), **settings)


@torch.no_grad()
def sung(found: Track, audio: Float[Tensor, "samples"], sample_rate: int) -> Float[Tensor, "samples"]:
    """A tone with the pitch that was found and the level of the recording, silent where there is none.

    To be heard beside the recording: a wrong octave is heard at once.

    Args:
        found: A track of the recording.
        audio: The recording.
        sample_rate: Its samples per second, and those of the tone.

    Examples:
        >>> hum = 0.5 * torch.sin(2 * torch.pi * 220 * torch.arange(8000) / 16000)
        >>> sound = sung(tracker("yin")(hum, 16000), hum, 16000)
        >>> sound.shape, 0.2 < sound.square().mean().sqrt().item() < 0.4
        (torch.Size([8000]), True)
    """
    frames, hop = len(found.f0_hz), found.hop_s * sample_rate
    power = audio.float().square().cumsum(dim=0, dtype=torch.float64)
    edges = ((torch.arange(frames + 1) - 0.5) * hop).round().long().clamp(0, len(audio) - 1)
    level = (power[edges[1:]] - power[edges[:-1]]).clamp(min=0).div(hop).sqrt().float() * found.voiced
    falling = 1 / torch.arange(1, _PARTIALS + 1.0)
    amp = (2**0.5 * level)[:, None] * falling / falling.norm()
    length = max(1, round((frames - 1) * hop))
    tone = harmonic_bank(found.f0_hz[None], amp[None], num_samples=length, sample_rate=sample_rate)[0]
    return torch.nn.functional.pad(tone, (0, max(0, len(audio) - length)))[: len(audio)]


def write_sung(found: Track, source: Path, path: Path) -> None:
    """Write :func:`sung` of a recording as WAV."""
    audio, rate = read_audio(source)
    write_wav(path, sung(found, audio, rate), rate)


def write_track(found: Track, path: Path) -> None:
    """Write a track as CSV, and its notes as ``<name>.notes.csv`` beside it."""
    times = np.arange(len(found.f0_hz)) * found.hop_s
    frames = zip(
        times.tolist(), found.f0_hz.tolist(), found.confidence.tolist(), found.voiced.tolist(), strict=True
    )
    rows = ((f"{t:.4f}", f"{f0:.3f}", f"{sure:.3f}", int(voiced)) for t, f0, sure, voiced in frames)
    _write_rows(path, ("time_s", "f0_hz", "confidence", "voiced"), rows)
    notes = (
        (f"{note.start_s:.4f}", f"{note.end_s:.4f}", f"{note.f0_hz:.3f}", f"{note.midi:.2f}")
        for note in segment_notes(found)
    )
    _write_rows(path.with_suffix(".notes.csv"), ("start_s", "end_s", "f0_hz", "midi"), notes)


def _write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    with atomic_write(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def draw_track(found: Track, path: Path) -> None:
    """Draw a track as a PNG: pitch in octaves over time, darker where it is surer, and its notes."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots()
    voiced = found.voiced.numpy()
    times = np.arange(len(voiced)) * found.hop_s
    axes.scatter(
        times[voiced], found.f0_hz.numpy()[voiced], 3, found.confidence.numpy()[voiced], cmap="viridis"
    )
    for note in segment_notes(found):
        axes.hlines(note.f0_hz, note.start_s, note.end_s, colors="tab:red", linewidth=1)
    axes.set(yscale="log", xlabel="s", ylabel="Hz")
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png")


def command(given: argparse.Namespace) -> int:
    """`drumblender pitch IN OUT`; see :func:`drumblender.options.converting.pitch`."""
    ear = make_tracker(given.tracker, trusted(given.trust), hop_s=given.hop, threshold=given.threshold)
    sounds = find_sounds_outside(given.output, given.input)
    if not sounds:
        raise FileNotFoundError(f"No recordings in {given.input}.")
    targets = _targets(given.input, given.output, sounds)
    suffixes = [".csv", ".notes.csv", *([".png"] if given.plot else []), *([".wav"] if given.sound else [])]
    check_apart(sounds, [path.with_suffix(suffix) for path in targets.values() for suffix in suffixes])
    rejected = []
    for source in progress(sounds, len(sounds), "Tracking"):
        try:
            found = _track_file(ear, source)
        except BadAudioError as error:
            rejected.append(error)
            continue
        write_track(found, targets[source])
        if given.plot:
            draw_track(found, targets[source].with_suffix(".png"))
        if given.sound:
            write_sung(found, source, targets[source].with_suffix(".wav"))
    return tell_written(len(sounds), rejected, given.output, "tracks")


def _targets(source: Path, output: Path, sounds: list[Path]) -> dict[Path, Path]:
    if source.is_dir():
        named = distinct_outputs(sounds, source, output, ("", ".notes"))
        return {sound: path.with_suffix(".csv") for sound, path in named.items()}
    return {source: output / f"{source.stem}.csv" if output.is_dir() else output}


def _track_file(ear: Tracker, path: Path) -> Track:
    recording = Streamed.of(path)
    return ear.stream(recording.blocks(), recording.sample_rate)
