"""Drum hits with the sinusoidal modes found in them."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from drumblender.audio_io import write_wav
from drumblender.data.base import AudioData
from drumblender.dsp.oscillators import modal_bank, quadrature_bank
from drumblender.dsp.units import hz_to_rad
from drumblender.features.mode_refit import RefittedModes
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.open_sound import BadAudioError
from drumblender.types import Audio

_FIELDS = ("freq_rad", "amp", "phase_rad", "quadrature")  # in the order of a feature file


class ModalData(AudioData):
    """One-shots in batches ``ModalBatch``.

    On disk, ``features/<key>.pt`` is a float32 tensor ``(3, modes, frames)``: frequency in radians a sample,
    linear amplitude, phase in radians; and with refitted modes a fourth, the amplitude a quarter turn ahead.
    A sound in which no mode is found is rejected.

    Args:
        data_dir: The prepared folder.
        analysis: Finds the modes; at the same ``sample_rate``.
        num_modes: Modes of every item of a batch: silent ones fill up. None takes that of the analysis.
        save_modal_audio: Also write ``audio/<key>_modal.wav``: the modes alone, played.
        batch_size: Items in a batch.
        **kwargs: The other arguments of ``AudioData``; the command line knows each by its name.

    Raises:
        ValueError: The analysis works at another rate, or neither number of modes is given.

    Examples:
        >>> analysis = CQTModalAnalysis(16000, fmin=110, n_bins=48, num_modes=1)
        >>> data = ModalData("prepared", analysis, sample_rate=16000, num_samples=8000)
        >>> tone = torch.sin(2 * torch.pi * 440 / 16000 * torch.arange(8000))[None]
        >>> {name: tuple(field.shape) for name, field in data.analyse(tone).items()}
        {'freq_rad': (1, 126, 1), 'amp': (1, 126, 1), 'phase_rad': (1, 126, 1)}
    """

    unusable = (BadAudioError, NoModesError)
    has_features = True

    def __init__(
        self,
        data_dir: str,
        analysis: CQTModalAnalysis | RefittedModes,
        num_modes: int | None = None,
        save_modal_audio: bool = False,
        batch_size: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, batch_size=batch_size, **kwargs)
        rate = analysis.settings.sample_rate
        if rate != self.sample_rate:
            raise ValueError(f"The analysis works at {rate:g} Hz, the data is at {self.sample_rate} Hz.")
        if num_modes is None and analysis.num_modes is None:
            raise ValueError("Batches need a number of modes: give num_modes, here or to the analysis.")
        self.analysis = analysis
        self.num_modes = analysis.num_modes if num_modes is None else num_modes
        self.save_modal_audio = save_modal_audio

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Modes of each sound: ``freq_rad``, ``amp`` and ``phase_rad``, each ``(batch, frames, modes)``, and
        ``quadrature`` where they were refitted.

        As many modes as the richest sound of the batch has; the others get silent ones. The length of the
        audio is free.

        Raises:
            NoModesError: A sound is silent, or too short to hold a mode.
        """
        found = [self.analysis(sound[None]) for sound in audio]
        parts = (
            pad_sequence([modes[0] for modes in part], batch_first=True).mT
            for part in zip(*found, strict=True)
        )
        fields = dict(zip(_FIELDS, parts, strict=False))
        return fields | {"freq_rad": hz_to_rad(fields["freq_rad"], self.sample_rate)}

    def pack_features(self, fields: dict[str, Tensor]) -> Float[Tensor, "tracks modes frames"]:
        """The tensor of one feature file."""
        return torch.cat([fields[name] for name in _FIELDS if name in fields]).mT.contiguous()

    def unpacker(self) -> Callable[[Tensor], dict[str, Tensor]]:
        return partial(unpack_modes, num_modes=self.num_modes)

    def settings(self) -> dict[str, Any]:
        analysis = asdict(self.analysis.settings)
        for part in self.analysis.modules():
            if part is self.analysis or isinstance(part, CQTModalAnalysis):
                analysis |= {name: value for name, value in vars(part).items() if _is_setting(name, value)}
        return super().settings() | {f"analysis.{name}": value for name, value in sorted(analysis.items())}

    def write_extra(self, key: str, fields: dict[str, Tensor]) -> dict[str, str]:
        """The modes played, where asked for."""
        if not self.save_modal_audio:
            return {}
        name = f"audio/{key}_modal.wav"
        tracks = [fields[field].mT for field in _FIELDS if field in fields]
        if len(tracks) == len(_FIELDS):
            freq_rad, amp, phase_rad, quadrature = tracks
            audio = quadrature_bank(
                freq_rad, amp, quadrature, phase_rad, num_samples=self.num_samples, align="hop"
            )
        else:
            audio = modal_bank(*tracks, num_samples=self.num_samples)
        write_wav(self.data_dir / name, audio[0], self.sample_rate)
        return {"filename_modal": name}


def _is_setting(name: str, value: object) -> bool:
    """Whether an attribute of an analysis is one of its arguments."""
    return (
        isinstance(value, str | int | float | list | dict | None)
        and not name.startswith("_")
        and name != "training"
    )


def unpack_modes(stored: Tensor, num_modes: int) -> dict[str, Tensor]:
    """Fields of one item from its feature file, with silent modes up to ``num_modes``.

    Raises:
        ValueError: The tensor is no ``(3, modes, frames)`` or ``(4, modes, frames)``, or has more modes.
    """
    if not isinstance(stored, Tensor) or stored.ndim != 3 or len(stored) not in (3, 4):
        raise ValueError(
            f"needs a tensor (3 or 4, modes, frames), got {getattr(stored, 'shape', type(stored))}"
        )
    if stored.shape[1] > num_modes:
        raise ValueError(f"holds {stored.shape[1]} modes, more than num_modes={num_modes}")
    tracks = functional.pad(stored, (0, 0, 0, num_modes - stored.shape[1])).mT
    return dict(zip(_FIELDS, tracks, strict=False))
