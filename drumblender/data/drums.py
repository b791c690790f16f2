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

from drumblender.audio_io import BadAudioError, write_wav
from drumblender.data.base import AudioDataModule
from drumblender.dsp.oscillators import modal_bank
from drumblender.dsp.units import hz_to_rad
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.types import Audio


class ModalDataModule(AudioDataModule):
    """One-shots in batches ``ModalBatch``.

    On disk, ``features/<key>.pt`` is a float32 tensor ``(3, modes, frames)``: frequency in radians a sample,
    linear amplitude, phase in radians. A sound in which no mode is found is rejected.

    Args:
        data_dir: The prepared folder.
        analysis: Finds the modes; at the same ``sample_rate``.
        num_modes: Modes of every item of a batch: silent ones fill up. None takes that of the analysis.
        save_modal_audio: Also write ``audio/<key>_modal.wav``: the modes alone, played.
        batch_size: Items in a batch.
        **kwargs: The other arguments of ``AudioDataModule``; the command line knows each by its name.

    Raises:
        ValueError: The analysis works at another rate, or neither number of modes is given.
    """

    unusable = (BadAudioError, NoModesError)
    has_features = True

    def __init__(
        self,
        data_dir: str,
        analysis: CQTModalAnalysis,
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
        """Modes of each sound: ``freq_rad``, ``amp`` and ``phase_rad``, each ``(batch, frames, modes)``.

        As many modes as the richest sound of the batch has; the others get silent ones. The length of the
        audio is free.

        Raises:
            NoModesError: A sound is silent, or too short to hold a mode.
        """
        found = [self.analysis(sound[None]) for sound in audio]
        freq_hz, amp, phase_rad = (
            pad_sequence([modes[0] for modes in part], batch_first=True) for part in zip(*found, strict=True)
        )
        freq_rad = hz_to_rad(freq_hz, self.sample_rate)
        return {"freq_rad": freq_rad.mT, "amp": amp.mT, "phase_rad": phase_rad.mT}

    def pack_features(self, fields: dict[str, Tensor]) -> Float[Tensor, "3 modes frames"]:
        """The tensor of one feature file."""
        return torch.cat([fields["freq_rad"], fields["amp"], fields["phase_rad"]]).mT.contiguous()

    def unpacker(self) -> Callable[[Tensor], dict[str, Tensor]]:
        return partial(unpack_modes, num_modes=self.num_modes)

    def settings(self) -> dict[str, Any]:
        analysis = asdict(self.analysis.settings) | {
            name: value
            for name, value in vars(self.analysis).items()
            if isinstance(value, str | int | float | None) and not name.startswith("_") and name != "training"
        }
        return super().settings() | {f"analysis.{name}": value for name, value in sorted(analysis.items())}

    def write_extra(self, key: str, fields: dict[str, Tensor]) -> dict[str, str]:
        """The modes played, where asked for."""
        if not self.save_modal_audio:
            return {}
        freq_rad, amp, phase_rad = (fields[name].mT for name in ("freq_rad", "amp", "phase_rad"))
        name = f"audio/{key}_modal.wav"
        audio = modal_bank(freq_rad, amp, phase_rad, num_samples=self.num_samples)
        write_wav(self.data_dir / name, audio[0], self.sample_rate)
        return {"filename_modal": name}


def unpack_modes(stored: Tensor, num_modes: int) -> dict[str, Tensor]:
    """Fields of one item from its feature file, with silent modes up to ``num_modes``.

    Raises:
        ValueError: The tensor is no ``(3, modes, frames)``, or has more modes.
    """
    if not isinstance(stored, Tensor) or stored.ndim != 3 or len(stored) != 3:
        raise ValueError(f"needs a tensor (3, modes, frames), got {getattr(stored, 'shape', type(stored))}")
    if stored.shape[1] > num_modes:
        raise ValueError(f"holds {stored.shape[1]} modes, more than num_modes={num_modes}")
    freq_rad, amp, phase_rad = functional.pad(stored, (0, 0, 0, num_modes - stored.shape[1])).mT
    return {"freq_rad": freq_rad, "amp": amp, "phase_rad": phase_rad}
