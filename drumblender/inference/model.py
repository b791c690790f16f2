"""A trained model as one object: sound in, sound out."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.checkpoints import Loaded, load_played
from drumblender.dsp.checks import one_sound
from drumblender.dsp.resample import hann_resample
from drumblender.inference.pitch import network_tracker, sung
from drumblender.inference.remap import remap_audio
from drumblender.inference.resynthesis import Settings, resynthesise
from drumblender.inference.shelf import find_checkpoint
from drumblender.tasks import PitchVoices, RemapVoices, Voices


class Model:
    """A trained model that is played.

    Attributes:
        task: Its voices, in eval mode; the LightningModule, where it was given one.
        sample_rate: Samples per second of what it plays.

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.data import AudioDataModule
        >>> from drumblender.synths import NoiseSynth
        >>> from drumblender.tasks import DrumTask, Voice
        >>> hiss = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        >>> task = DrumTask({"hiss": hiss}, torch.nn.L1Loss(), sample_rate=16000).eval()
        >>> model = Model(Loaded(task, AudioDataModule("sounds", sample_rate=16000), sample_rate=16000))
        >>> model
        Model(DrumTask of hiss, 16000 Hz)
        >>> knock = torch.exp(-torch.arange(4800) / 300) * torch.sin(torch.arange(4800) / 20)
        >>> model(knock, 48000).shape, list(model.stems(knock, 48000))
        (torch.Size([1600]), ['hiss'])
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.task: Voices = loaded.task
        self.sample_rate: int = loaded.sample_rate

    def __repr__(self) -> str:
        voices = ", ".join(self.task.voices)
        return f"Model({self._loaded.kind} of {voices}, {self.sample_rate} Hz)"

    def __call__(
        self, audio: Tensor | np.ndarray, sample_rate: int, seed: int = 0
    ) -> Float[Tensor, "rendered"]:
        """The model's version of a recording, the drum synth's answer to every hit of it, or a tone at the
        pitch that a network finds in it.

        Args:
            audio: A recording, samples in a row, of torch or NumPy.
            sample_rate: Its samples per second.
            seed: Of the noise in the sound.

        Returns:
            Sound at the model's ``sample_rate``.

        Raises:
            BadAudioError: The recording is silent, or has nothing that the model answers to.
            ValueError: It is several sounds, or not finite.
        """
        if isinstance(self.task, RemapVoices):
            heard = _at(self._loaded.data.sample_rate, audio, sample_rate)
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                return remap_audio(self.task, self._loaded.data, heard)
        if isinstance(self.task, PitchVoices):
            heard = _at(self.sample_rate, audio, sample_rate)
            return sung(network_tracker(self._loaded)(heard, self.sample_rate), heard, self.sample_rate)
        return self._resynthesised(audio, sample_rate, Settings(seed=seed))[""]

    def stems(
        self, audio: Tensor | np.ndarray, sample_rate: int, seed: int = 0
    ) -> dict[str, Float[Tensor, "rendered"]]:
        """What each voice of the model plays, by name; arguments as of a call.

        Raises:
            ValueError: The model answers hits instead of resynthesising.
        """
        if isinstance(self.task, RemapVoices):
            raise ValueError("A model that remaps has one voice; call it instead.")
        sounds = self._resynthesised(audio, sample_rate, Settings(seed=seed, stems=True))
        return {name: sound for name, sound in sounds.items() if name}

    def to(self, device: str | torch.device) -> "Model":
        """Move to a device."""
        self.task.to(device)
        return self

    def _resynthesised(
        self, audio: Tensor | np.ndarray, sample_rate: int, settings: Settings
    ) -> dict[str, Tensor]:
        heard = _at(self.sample_rate, audio, sample_rate)
        return resynthesise(self._loaded, heard, settings)


def _at(wanted: int, audio: Tensor | np.ndarray, sample_rate: int) -> Float[Tensor, "samples"]:
    """The sound at a rate of the model's, on the CPU."""
    return hann_resample(one_sound(audio, "The recording")[None].float().cpu(), sample_rate, wanted)[0]


def load(checkpoint: str | Path) -> Model:
    """Open a trained model.

    Args:
        checkpoint: A file that ``drumblender fit`` or ``import`` wrote, the name of a shipped one
            (``drumblender checkpoints`` lists them), or ``hf://owner/name`` on the Hugging Face hub.

    Raises:
        FileNotFoundError: There is no such file and no such name.
        ValueError: The file is no checkpoint of ours, or its weights do not fit its configuration.
        StorageError: It cannot be fetched.

    Examples:
        >>> from drumblender.checkpoint_file import save_checkpoint
        >>> from drumblender.checkpoints import build
        >>> synth = {"class_path": "drumblender.synths.ModalSynth", "init_args": {"num_modes": 3}}
        >>> arguments = {"voices": {"modal": {"synth": synth}}, "loss": {"class_path": "torch.nn.L1Loss"}}
        >>> arguments["sample_rate"] = 16000
        >>> model = {"class_path": "drumblender.tasks.DrumTask", "init_args": arguments}
        >>> config = {"model": model, "data": {"class_path": "drumblender.data.HarmonicTonesDataModule"}}
        >>> record = {"version": "0.2.0", "sample_rate": 16000, "config": config}  # as `fit` writes it
        >>> weights = build(config)[0].state_dict()
        >>> save_checkpoint({"drumblender": record, "state_dict": weights}, "modal.ckpt")
        >>> load("modal.ckpt").sample_rate
        16000
    """
    return Model(load_played(find_checkpoint(checkpoint)))
