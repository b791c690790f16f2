"""Recurrent encoders of a note: its pitch and loudness frame by frame, and its timbre from MFCCs."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from drumblender.dsp.cepstra import mel_cepstrum
from drumblender.dsp.units import hz_to_midi
from drumblender.encoders.base import Encoder
from drumblender.types import Audio

_SIZES = {63: (2048, 1024), 125: (1024, 512), 250: (1024, 256), 500: (512, 128), 1000: (256, 64)}
"""FFT size and hop by the frames of a 4 s note at 16 kHz."""
_COEFFICIENTS = 30


class MFCCEncoder(Encoder):
    """Describes the timbre of a sound with a GRU over its mel-frequency cepstral coefficients.

    Args:
        rnn_channels: Size of the GRU.
        z_dims: Features a frame.
        z_time_steps: Frames of a 4 s note at 16 kHz: 63, 125, 250, 500 or 1000; sets FFT size and hop.
        sample_rate: Samples per second.
        batch_top_db: Cut spectra off 80 dB below the loudest bin of the whole batch, as published, not of the
            item itself; what an item gives then depends on the others.

    Examples:
        >>> encoder = MFCCEncoder(rnn_channels=8, z_dims=4)
        >>> encoder(torch.randn(2, 16000)).shape  # a frame every 256 samples
        torch.Size([2, 63, 4])
    """

    def __init__(
        self,
        rnn_channels: int = 512,
        z_dims: int = 16,
        z_time_steps: int = 250,
        sample_rate: int = 16000,
        batch_top_db: bool = False,
    ) -> None:
        super().__init__()
        if z_time_steps not in _SIZES:
            raise ValueError(f"z_time_steps is one of {', '.join(map(str, _SIZES))}, got {z_time_steps}.")
        self.n_fft, self.hop_length = _SIZES[z_time_steps]
        self.num_features = z_dims
        self.sample_rate, self.batch_top_db = sample_rate, batch_top_db
        self.rnn = nn.GRU(_COEFFICIENTS, rnn_channels, batch_first=True)
        self.dense_out = nn.Linear(rnn_channels, z_dims)

    def forward(self, audio: Audio, num_frames: int | None = None) -> Float[Tensor, "batch frames features"]:
        """Encode, and interpolate to ``num_frames`` frames; None keeps one a hop."""
        z = self.dense_out(self.rnn(self.mfcc(audio))[0])
        if num_frames is None:
            return z
        return F.interpolate(
            z.transpose(-1, -2), size=num_frames, mode="linear", align_corners=False
        ).transpose(-1, -2)

    def mfcc(self, audio: Audio) -> Float[Tensor, "batch frames coefficients"]:
        """Cepstral coefficients, each with mean 0 and variance 1 over time."""
        cepstrum = mel_cepstrum(
            audio,
            sample_rate=self.sample_rate,
            num_coefficients=_COEFFICIENTS,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            low_hz=20.0,
            loudest="batch" if self.batch_top_db else "item",
        )
        return F.instance_norm(cepstrum.transpose(-1, -2)).transpose(-1, -2)


class NoteEncoder(Encoder):
    """Hears a note as its pitch, its loudness and its timbre, and describes it frame by frame.

    Pitch and loudness pass a network each, then a GRU; what it gives, pitch, loudness and timbre pass another
    network ("Differentiable Karplus-Strong", WASPAA 2025). The loudness is normalised by ``loudness_mean_db``
    and ``loudness_std_db``, which a task takes from its training data and a checkpoint carries.

    Args:
        hidden_size: Features a frame, and the size of everything inside.
        z_encoder: Hears the timbre.
        shared_inputs: One network for pitch and loudness, as published, instead of one each.
        pitch_unit: What the networks see of the pitch: ``hz`` as published, or ``midi`` (notes over 100),
            which is about as large as the other inputs.
        loudness_mean_db: Taken off the loudness.
        loudness_std_db: Divides it then, above 0.

    Examples:
        >>> encoder = NoteEncoder(hidden_size=8, z_encoder=MFCCEncoder(rnn_channels=8))
        >>> f0_hz, loudness_db = torch.full((2, 62), 220.0), torch.full((2, 62), -20.0)
        >>> encoder(torch.randn(2, 16000), f0_hz, loudness_db).shape
        torch.Size([2, 62, 8])
    """

    hears = ("audio", "f0_hz", "loudness_db")
    loudness_mean_db: Tensor
    loudness_std_db: Tensor

    def __init__(
        self,
        hidden_size: int = 512,
        z_encoder: MFCCEncoder | None = None,
        shared_inputs: bool = False,
        pitch_unit: Literal["hz", "midi"] = "hz",
        loudness_mean_db: float = 0.0,
        loudness_std_db: float = 1.0,
    ) -> None:
        super().__init__()
        if hidden_size < 1 or not loudness_std_db > 0:
            raise ValueError(f"Needs {hidden_size=} of at least 1 and {loudness_std_db=} above 0.")
        if pitch_unit not in ("hz", "midi"):
            raise ValueError(f"pitch_unit is 'hz' or 'midi', got {pitch_unit!r}.")
        self.num_features, self.pitch_unit = hidden_size, pitch_unit
        self.z_encoder = MFCCEncoder() if z_encoder is None else z_encoder
        self.pitch_net = _mlp(1, hidden_size)
        self.loudness_net = self.pitch_net if shared_inputs else _mlp(1, hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out_mlp = _mlp(hidden_size + 2 + self.z_encoder.num_features, hidden_size)
        self.register_buffer("loudness_mean_db", torch.tensor(float(loudness_mean_db)))
        self.register_buffer("loudness_std_db", torch.tensor(float(loudness_std_db)))

    def forward(
        self,
        audio: Audio,
        f0_hz: Float[Tensor, "batch frames"],
        loudness_db: Float[Tensor, "batch loudness_frames"],
    ) -> Float[Tensor, "batch frames features"]:
        """Encode; as many frames as pitch and loudness have.

        Raises:
            ValueError: Pitch and loudness have different lengths.
        """
        if f0_hz.shape != loudness_db.shape:
            shapes = tuple(f0_hz.shape), tuple(loudness_db.shape)
            raise ValueError(f"Pitch and loudness need equal frames, got {shapes[0]} and {shapes[1]}.")
        pitch = (f0_hz if self.pitch_unit == "hz" else hz_to_midi(f0_hz) / 100)[..., None]
        loudness = ((loudness_db - self.loudness_mean_db) / self.loudness_std_db)[..., None]
        heard = torch.cat([self.pitch_net(pitch), self.loudness_net(loudness)], dim=-1)
        unfolded = self.gru(heard)[0]
        z = self.z_encoder(audio, num_frames=f0_hz.shape[1])
        return self.out_mlp(torch.cat([unfolded, pitch, loudness, z], dim=-1))

    def set_loudness_statistics(self, mean_db: float, std_db: float) -> None:
        """Normalise with these from here on.

        Raises:
            ValueError: The deviation is not above 0.
        """
        if not std_db > 0:
            raise ValueError(f"The loudness never changes: {std_db=}. It cannot be normalised.")
        self.loudness_mean_db.fill_(mean_db)
        self.loudness_std_db.fill_(std_db)


def _mlp(size_in: int, size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (size_in, size, size):
        layers += [nn.Linear(inputs, size), nn.LayerNorm(size), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)
