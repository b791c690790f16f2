"""A trained model's version of recordings."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from drumblender.checkpoints import Loaded
from drumblender.data.prepare.one_shot import SILENCE_DB, first_non_silent_sample
from drumblender.dsp.noise import one_noise
from drumblender.open_sound import BadAudioError
from drumblender.tasks import PitchVoices
from drumblender.types import HearsRecordings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a recording is resynthesised.

    Args:
        seed: Of the noise in the sound.
        cut_silence: Analyse from the onset on, as the training data is cut, and put the silence back after.
        trim: Cut the result to the length of the recording; else it is at least as long as a training item.
        batch_statistics: Normalise with the statistics of the one input, as the original program did,
            instead of those of the training.
        keep_rate: Write at the rate of the recording instead of the model's.
        stems: Write each voice to a file of its own as well.
        refine: Steps of descent on the one recording that its controls are taken further by; 0: none.
    """

    seed: int = 0
    cut_silence: bool = True
    trim: bool = True
    batch_statistics: bool = False
    keep_rate: bool = False
    stems: bool = False
    refine: int = 0


@dataclass(frozen=True)
class Heard:
    """A recording as the model hears it.

    Attributes:
        audio: From its onset on, and as long as a training item or longer.
        start: Samples before the onset.
        num_samples: Of the whole recording.
    """

    audio: Float[Tensor, "samples"]
    start: int
    num_samples: int


def resynthesise(loaded: Loaded, audio: Tensor, settings: Settings) -> dict[str, Tensor]:
    """The model's version of a recording.

    Args:
        loaded: A checkpoint.
        audio: ``(samples,)`` at the model's sample rate.
        settings: What to do about silence, length and noise.

    Returns:
        The sound under ``""``, and with ``stems`` each voice under its name; ``(samples,)`` each.

    Raises:
        BadAudioError: Nothing but silence.
        ValueError: The model was trained on sounds that are made, and hears no recordings.
    """
    return resynthesise_all(loaded, [hear(loaded, audio, settings)], settings)[0]


def hear(loaded: Loaded, audio: Tensor, settings: Settings) -> Heard:
    """Cut a recording as the model's training data is cut; arguments and errors of :func:`resynthesise`."""
    check_hears(loaded)
    start = first_non_silent_sample(audio)
    if start is None:
        raise BadAudioError(None, f"is silent (below {SILENCE_DB:g} dB)")
    start = start if settings.cut_silence else 0
    cut = audio[start:]
    longer = max(0, loaded.data.num_samples - len(cut))
    return Heard(functional.pad(cut, (0, longer)), start, len(audio))


@torch.no_grad()
def resynthesise_all(loaded: Loaded, heard: Sequence[Heard], settings: Settings) -> list[dict[str, Tensor]]:
    """What :func:`resynthesise` gives for each of some recordings, whose ``audio`` is of one length.

    Each has the noise that it has alone; where :func:`shares_batches` is false, there may be one only.
    """
    task = loaded.task.train(settings.batch_statistics)
    audio = torch.stack([one.audio for one in heard])
    batch = {"audio": audio, **loaded.data.analyse(audio)}
    batch = {name: value.to(task.device) for name, value in batch.items()}
    with _noise_of(settings.seed, len(heard)):  # an equaliser hears the voices before it
        controls = task.voice_controls(batch)
    if settings.refine:
        from drumblender.inference.refined import refined_controls  # slow to import

        controls, gain = refined_controls(task, batch, settings.refine, settings.seed)
        _log.info("%d steps of refinement: %s.", settings.refine, gain)
    with _noise_of(settings.seed, len(heard)):
        sounds = {"": task.render(batch, controls)}
    if settings.stems:
        with _noise_of(settings.seed, len(heard)):
            sounds |= task.stems(batch, controls=controls)
    return [
        {name: _back(sound[item].cpu(), one, settings) for name, sound in sounds.items()}
        for item, one in enumerate(heard)
    ]


def shares_batches(loaded: Loaded, settings: Settings) -> bool:
    """Whether a recording sounds the same beside others in a batch as alone.

    Not by statistics of the batch, nor where it is descended on by itself. Parts of your own may draw noise
    by themselves.
    """
    homes = {type(part).__module__.partition(".")[0] for part in loaded.task.modules()}
    return not settings.batch_statistics and not settings.refine and homes <= {"drumblender", "torch"}


def check_hears(loaded: Loaded) -> None:
    """Raise ValueError where a model hears no recordings."""
    if not isinstance(loaded.data, HearsRecordings):
        told = "; `drumblender pitch IN OUT --tracker CKPT` tells the pitch that it finds"
        raise ValueError(
            f"This {loaded.kind} was trained on {type(loaded.data).__name__}, which makes its "
            f"sounds and hears no recordings{told if isinstance(loaded.task, PitchVoices) else ''}."
        )


def _back(sound: Tensor, heard: Heard, settings: Settings) -> Tensor:
    """With the silence before the onset, and as long as the recording."""
    return functional.pad(sound, (heard.start, 0))[: heard.num_samples if settings.trim else None]


@contextmanager
def _noise_of(seed: int, batch: int) -> Iterator[None]:
    with torch.random.fork_rng(), ExitStack() as stack:
        torch.manual_seed(seed)
        if batch > 1:
            stack.enter_context(one_noise())
        yield
