"""The reference implementation of KAD, which needs an environment of its own."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.audio_io import read_audio, write_wav

_SCORE = re.compile(r"Score:\s*(?:tensor\()?\s*(-?[0-9.]+(?:e[-+]?\d+)?)")


@dataclass(frozen=True)
class Found:
    """What kadtk found: its distance, and the embeddings that it made."""

    kad: float
    target: Float[Tensor, "_items _dimensions"]
    prediction: Float[Tensor, "_items _dimensions"]


def run_kadtk(python: Path, model: str, target: list[Path], prediction: list[Path]) -> Found:
    """Run kadtk over copies of the files.

    Args:
        python: The interpreter of the environment that has kadtk.
        model: One of its models.
        target: Files of the reference, in any format; kadtk gets their mono sum.
        prediction: Files of what is evaluated.

    Raises:
        ValueError: No such interpreter, or kadtk failed; the last line that it said.
    """
    program = shutil.which(str(python))
    if program is None:
        raise ValueError(f"--kadtk: {python} is no Python. See the README for the command that makes one.")
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / name for name in ("target", "pred")]
        for folder, files in zip(folders, (target, prediction), strict=True):
            for number, path in enumerate(files):  # a folder that holds nothing but sounds, as kadtk asks for
                write_wav(folder / f"{number:06}.wav", *read_audio(path, channel="mean"))
        command = [program, "-m", "kadtk", model, *map(str, folders), "--device", "cpu"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        score = _SCORE.search(ended.stdout)
        if ended.returncode or score is None:
            said = (ended.stderr.strip() or ended.stdout.strip() or "nothing").splitlines()[-1]
            raise ValueError(f"kadtk ended with status {ended.returncode}: {said}")
        points = [_read_points(folder / "embeddings" / model) for folder in folders]
    return Found(float(score[1]), *points)


def _read_points(folder: Path) -> Float[Tensor, "_items _dimensions"]:
    files = sorted(folder.glob("*.npy"))
    if not files:
        raise ValueError(f"kadtk left no embeddings in {folder.name}/.")
    rows = [np.atleast_2d(np.load(path, allow_pickle=False)) for path in files]
    return torch.from_numpy(np.concatenate(rows).astype(np.float32))
