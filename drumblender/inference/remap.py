"""`drumblender remap`: play a trained mapping from a recording of drum hits, or live."""

import argparse
import logging
import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.audio_io import read_audio, write_wav
from drumblender.checkpoints import Loaded, load_played
from drumblender.console import track
from drumblender.data import RemapData
from drumblender.dsp.onsets import OnsetSettings, cut_hits, detect_onsets
from drumblender.inference.folders import output_of, outputs_of, tell_written
from drumblender.inference.hits import HitStream, RunningScale
from drumblender.open_sound import BadAudioError
from drumblender.synths.drum_synth import DrumSynth
from drumblender.tasks import RemapVoices
from drumblender.trust import Trust, trusted
from drumblender.types import Audio

log = logging.getLogger(__name__)

Scaling = Literal["training", "recording", "running"]
_FADE_S = 0.01  # at the end of a hit that still sounds
_CHUNK = 32  # hits rendered at a time


class RemapStream:
    """Plays along with sound that comes in blocks: every hit is answered as soon as its features are known.

    With features of 256 samples the answer comes about 5 ms after the hit.

    Args:
        task: A trained mapping.
        data: The data it was trained with: how hits are found and described.
        hit_s: Seconds that a hit sounds at most.
        scaling: ``training`` scales onset features by the drum of the training, ``running`` by the hits
            heard so far.
        choke: A hit ends the one before it.
        settings: When a leap of the level counts as an onset; None as in training.
    """

    def __init__(
        self,
        task: RemapVoices,
        data: RemapData,
        hit_s: float = 1.0,
        scaling: Literal["training", "running"] = "running",
        choke: bool = False,
        settings: OnsetSettings | None = None,
    ) -> None:
        self.task, self.choke = task.eval(), choke
        self.num_samples = _hit_samples(task, hit_s)
        if scaling == "training":
            _need_known_scale(task)
        self._running = RunningScale() if scaling == "running" else None
        self._hits = HitStream(
            data.onset_features, task.sample_rate, settings or data.onsets, data.backtrack_samples
        )
        self._tail = torch.zeros(0)  # what sounds on after the last block

    @torch.no_grad()
    def process(self, block: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "samples"]:
        """The answer to a block: as long as it, in time with it."""
        begin = self._hits._count
        out = torch.zeros(max(len(self._tail), len(block) + self.num_samples))
        out[: len(self._tail)] = self._tail
        for hit in self._hits.process(block):
            at = max(hit.ready + 1 - begin, 0)
            sound = _render(self.task, self._scaled(hit.features)[None], self.num_samples)[0]
            if self.choke:
                _end(out, at, self.task.sample_rate)
            out[at : at + len(sound)] += sound
        self._tail = out[len(block) :]
        return out[: len(block)].numpy()

    def _scaled(self, raw: Tensor) -> Tensor:
        if self._running is None:
            return self.task.mapping.onset_scale(raw[None])[0]
        return self._running(raw) - self.task.mapping.onset_scale.center


@torch.no_grad()
def remap_audio(
    task: RemapVoices,
    data: RemapData,
    audio: Float[Tensor, "samples"],
    hit_s: float = 1.0,
    scaling: Scaling = "training",
    choke: bool = False,
) -> Float[Tensor, "rendered"]:
    """Answer every hit of a recording at the time of its onset.

    Args:
        task: A trained mapping.
        data: The data it was trained with: how hits are found and described.
        audio: The recording, at ``data.sample_rate``.
        hit_s: Seconds that a hit sounds at most.
        scaling: Onset features are scaled by the drum of the ``training``, by the hits of this
            ``recording``, or by those up to each hit (``running``), as a plug-in must.
        choke: A hit ends the one before it.

    Returns:
        Sound at ``task.sample_rate``, as long as the recording and the last hit.

    Raises:
        BadAudioError: No onset is found.
    """
    onsets = detect_onsets(audio.numpy(), data.sample_rate, data.onsets)
    if not onsets:
        raise BadAudioError(None, "has no onset: nothing leaps out of what goes before")
    size = data.onset_features.receptive_field or data.sample_rate
    frames = cut_hits(audio.numpy(), onsets, size, pad_overlap=False, backtrack=data.backtrack_samples)
    raw = data.onset_features(torch.from_numpy(frames))
    onset = _scale(task, raw, scaling).to(task.device)
    num_samples, rate = _hit_samples(task, hit_s), task.sample_rate
    ratio = rate / data.sample_rate
    places = [round(max(at - data.backtrack_samples, 0) * ratio) for at in onsets]
    out = torch.zeros(max(round(len(audio) * ratio), places[-1] + num_samples))
    for chunk, rows in zip(_chunks(places), onset.split(_CHUNK), strict=True):
        for at, sound in zip(chunk, _render(task, rows, num_samples).cpu(), strict=True):
            if choke:
                _end(out, at, rate)
            out[at : at + num_samples] += sound
    return out


def remap(
    checkpoint: str | Path,
    input_path: str | Path,
    output_path: str | Path,
    *,
    hit_s: float = 1.0,
    scaling: Scaling = "training",
    choke: bool = False,
    device: str = "cpu",
    trust: Trust | None = None,
) -> int:
    """From file to 32-bit float WAV file; arguments as :func:`remap_audio`.

    Returns:
        Hits played.

    Raises:
        ValueError: The checkpoint is of another kind of task.
        BadAudioError: The recording cannot be read, or has no onset.
    """
    loaded = load_played(checkpoint, trust)
    task, data = remapping_parts(loaded, checkpoint)
    return _remap_file(task.to(device), data, Path(input_path), Path(output_path), (hit_s, scaling, choke))


def _remap_file(
    task: RemapVoices, data: RemapData, source: Path, output: Path, settings: tuple[float, Scaling, bool]
) -> int:
    audio, _ = read_audio(source, data.sample_rate, data.channel, dc=data.dc)
    try:
        sound = remap_audio(task, data, audio, *settings)
    except BadAudioError as error:
        raise BadAudioError(source, error.reason) from None
    write_wav(output, sound, task.sample_rate)
    return len(detect_onsets(audio.numpy(), data.sample_rate, data.onsets))


def remapping_parts(loaded: Loaded, path: str | Path) -> tuple[RemapVoices, RemapData]:
    """The task and data of a checkpoint, if they are those of timbre remapping."""
    if not isinstance(loaded.task, RemapVoices) or not isinstance(loaded.data, RemapData):
        raise ValueError(f"{path} holds a {loaded.kind}; remapping needs a RemapTask.")
    return loaded.task, loaded.data


def command(given: argparse.Namespace) -> int:
    """`drumblender remap CKPT IN OUT`; see :func:`drumblender.options.playing.remap`."""
    output = given.output
    if not given.input.is_dir():
        output = output_of(given.input, output)
    targets = outputs_of(given.input, output) if given.input.is_dir() else {}
    loaded = load_played(given.checkpoint, trusted(given.trust))
    task, data = remapping_parts(loaded, given.checkpoint)
    task.to(given.device)
    settings = (given.hit, given.scaling, given.choke)
    if not targets:
        hits = _remap_file(task, data, given.input, output, settings)
        log.info("Wrote %s: %d hit%s.", output, hits, "s" * (hits != 1))
        return 0
    rejected = []
    for source in track(targets, len(targets), "Remapping"):
        try:
            _remap_file(task, data, source, targets[source], settings)
        except BadAudioError as error:
            rejected.append(error)
    return tell_written(len(targets), rejected, output)


def _scale(task: RemapVoices, raw: Float[Tensor, "hits features"], scaling: Scaling) -> Tensor:
    if scaling == "training":
        _need_known_scale(task)
        return task.mapping.onset_scale(raw.to(task.device))
    if not task.mapping.onset_scale.known:
        log.warning(
            "What training subtracted from the onset features is unknown; nothing is subtracted here."
        )
    if scaling == "recording":
        low, span = raw.amin(dim=0), raw.amax(dim=0) - raw.amin(dim=0)
        scaled = torch.where(span > 0, (raw - low) / torch.where(span > 0, span, 1.0), 0.5)
    else:
        running = RunningScale()
        scaled = torch.stack([running(row) for row in raw])
    return scaled - task.mapping.onset_scale.center.cpu()


def _need_known_scale(task: RemapVoices) -> None:
    if not task.mapping.onset_scale.known:
        raise ValueError(
            "This checkpoint does not say how the onset features of its drum were scaled (imported ones "
            "don't): choose scaling 'recording' or 'running'."
        )


def _hit_samples(task: RemapVoices, hit_s: float) -> int:
    wanted = round(hit_s * task.sample_rate) if math.isfinite(hit_s) else 0
    if wanted < 1:
        raise ValueError(f"A hit sounds for more than 0 seconds, got {hit_s}.")
    noise = task.synth.noise if isinstance(task.synth, DrumSynth) else None
    if noise is None or wanted <= noise.shape[1]:
        return wanted
    log.warning("The synth has noise for hits of %.2g s; they end there.", noise.shape[1] / task.sample_rate)
    return noise.shape[1]


def _render(task: RemapVoices, onset: Float[Tensor, "hits features"], num_samples: int) -> Audio:
    sound = task.play(task.controls({"onset": onset}), num_samples)
    fade = min(round(_FADE_S * task.sample_rate), num_samples)
    sound[:, num_samples - fade :] *= torch.linspace(1, 0, fade, device=sound.device)
    return sound


def _end(out: Float[Tensor, "samples"], at: int, sample_rate: int) -> None:
    """Silence what sounds on from ``at``, within a millisecond."""
    fade = out[at : at + sample_rate // 1000]
    fade *= torch.linspace(1, 0, len(fade))
    out[at + len(fade) :] = 0


def _chunks(places: list[int]) -> list[list[int]]:
    return [places[i : i + _CHUNK] for i in range(0, len(places), _CHUNK)]
