"""The next frames of timbre transfer as a function of tensors, state in and out: what leaves Python."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from drumblender.controllers import CorrectedSpectra, HarmonicControls
from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.frame_filter import bin_places, filter_by_places, filter_frame
from drumblender.dsp.frame_overlap import add_frames, looped
from drumblender.dsp.partials import partials_hz
from drumblender.encoders import ControlGRU
from drumblender.inference.transfer_curves import SILENT_DB
from drumblender.nets.gru import gru

Player = HarmonicControls | CorrectedSpectra
State = tuple[Tensor, ...]


def controls_of(player: Player, features: Tensor | None, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Controls of frames that are encoded already, by role: ``amp``, perhaps ``magnitude``.

    Nothing sounds in a frame of ``SILENT_DB``, where a network, or the level itself, would leave a hum.
    """
    if isinstance(player, CorrectedSpectra):
        controls = player.controls(features, batch)
    else:
        controls = player.controls(features, batch["f0_hz"], batch["loudness_db"])
    sounds = (batch["loudness_db"] > SILENT_DB).unsqueeze(-1).to(controls[player.names["amp"]].dtype)
    return {
        role: controls[name] * sounds if role in ("amp", "magnitude") else controls[name]
        for role, name in player.names.items()
    }


class FrameStep(nn.Module):
    """Plays the hop before each of the next frames, from their curves and the state that was left.

    All that moves is in the state, so that ``torch.jit.trace`` and ONNX can have it; :class:`SteppedStream
    <drumblender.inference.stepped_stream.SteppedStream>` carries it. Gives what
    :class:`~drumblender.inference.transfer.TransferStream` gives. A frame is so little
    work that the number of operations counts: rows are frames from the first to the last, and what a caller
    knows as well, the frames' numbers and the noise under each, is handed in.

    Args:
        player: A trained controller that was told its synth; its encoder is a GRU, or none.
        hop_length: Samples from frame to frame.
        n_fft: Points of the noise's FFT, a power of two.

    Attributes:
        inputs: The curves of a frame, in the order of ``forward``.
        late_samples: How far the sound lies behind the latest frame; so many samples at the start are none.
        most_frames: What is played in one call; harmonics times samples are held for no more.

    Raises:
        ValueError: An encoder whose state grows.

    Examples:
        >>> from drumblender.synths import HarmonicSynth
        >>> player = HarmonicControls(ControlGRU(8))
        >>> player.serve(HarmonicSynth(num_harmonics=20))
        >>> step = FrameStep(player)
        >>> state, played = step.initial(), 0
        >>> for frames in (1, 2):
        ...     curves = torch.tensor([[220.0], [-20.0]]).expand(-1, frames)
        ...     sound, *state = step(curves, played + torch.arange(frames), torch.zeros(frames, 0), *state)
        ...     played += frames
        >>> sound.shape, bool(sound.any())
        (torch.Size([320]), True)
    """

    most_frames = 32

    def __init__(self, player: Player, hop_length: int = 160, n_fft: int = 1024) -> None:
        super().__init__()
        encoder = player.encoder
        if encoder is not None and not isinstance(encoder, ControlGRU):
            raise ValueError(
                f"A frame alone is for a GRU, whose state has one size; {type(encoder).__name__} is streamed "
                "by TransferStream."
            )
        self.player, self.hop_length, self.n_fft = player, hop_length, n_fft
        self.has_noise = "magnitude" in player.names
        self.stiff = "stiffness" in player.names  # each partial then has a frequency of its own
        self.inputs = player.hears
        self.late_samples = n_fft // 2 if self.has_noise else hop_length
        hops = -(-n_fft // hop_length)  # a sample of the noise lies in so many frames
        self.last = hops - 1
        window = torch.hann_window(n_fft)
        weights = torch.nn.functional.pad(window.square(), (0, hops * hop_length - n_fft))
        weights = weights.view(hops, hop_length)
        overlap = weights.cumsum(dim=0).clamp(min=1e-11)
        rate, share = player.sample_rate, torch.arange(hop_length, dtype=torch.float64) / hop_length
        pitch = torch.stack([1 - share, share])  # from one frame, on a line to the next
        harmonics = torch.arange(1.0, player.control_sizes[player.names["amp"]] + 1)[:, None]
        constants = {
            "window": window,
            "weights": weights,
            "share": pitch.float(),  # of a frame and the next
            # With so many frames before: whether the tone has begun, and how much noise lies over itself.
            "begins": torch.cat([(torch.arange(hops) > 0).float()[:, None], overlap], dim=1),
            "advance": pitch.cumsum(dim=1) / rate,  # from both ends' pitches to turns
            "pitch": pitch / (rate / 2),  # and to parts of Nyquist
            "harmonics": harmonics,
            "speed": 2 * torch.pi * harmonics,
        }
        if self.has_noise:
            bands = torch.eye(player.control_sizes[player.names["magnitude"]])
            constants["spread"] = upsample_frames(bands, n_fft // 2 + 1, "ends")  # from bands to bins
            constants["placed"] = constants["spread"][:, bin_places(n_fft)]
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        self.eval()

    def initial(self) -> State:
        """The state before the first frame: zeros."""
        encoder, size = self.player.encoder, len(self.harmonics)
        hidden = torch.zeros(1, 1, 1)
        if encoder is not None:
            hidden = torch.zeros(encoder.gru.num_layers, 1, encoder.gru.hidden_size)
        turns = torch.zeros(size if self.stiff else 1, dtype=torch.float64)
        last = torch.zeros(1, size + (2 if self.stiff else 1))
        if not self.has_noise:
            return hidden, turns, last
        return hidden, turns, last, torch.zeros(self.n_fft // 2), torch.zeros(self.n_fft - self.hop_length)

    def forward(
        self,
        curves: Float[Tensor, "inputs frames"],
        index: Int64[Tensor, "frames"],
        noise: Float[Tensor, "frames n_fft"],
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        """Sound of a hop for each frame, ``late_samples`` behind the latest, and the state after them.

        Args:
            curves: Of the next frames, at most ``most_frames``; a row for each of ``inputs``.
            index: The frames' numbers, from 0.
            noise: White noise under each frame, from half of ``n_fft`` before it; without noise of no length.
            state: From ``initial``, or from the last call.
        """
        hidden, turns, last = state[:3]
        batch = dict(zip(self.inputs, curves.unbind(), strict=True))
        controls, hidden = self._controls(hidden, batch)
        strings = [batch["f0_hz"].unsqueeze(1), *([controls["stiffness"]] if self.stiff else [])]
        rows = torch.cat([last, torch.cat([controls["amp"], *strings], dim=1)])
        begins = self.begins.index_select(0, index.clamp(max=self.last))
        begun, overlap = begins.split([1, self.hop_length], dim=1)
        play = self._partials if self.stiff else self._harmonics
        played, turns = play(turns, torch.stack([rows[:-1], rows[1:]], dim=1), begun)
        if not self.has_noise:
            return played, hidden, turns, rows[-1:]
        waiting, sound = state[3:]
        late, kept = len(waiting), len(sound)
        waiting = torch.cat([waiting, played])
        filtered = self._filtered(noise * self.window, controls["magnitude"]) * self.window
        sound = add_frames(sound, filtered, self.hop_length, self.most_frames)
        ready = waiting[self.hop_length : self.hop_length - late] + sound[:-kept] / overlap.reshape(-1)
        return ready, hidden, turns, rows[-1:], waiting[-late:], sound[-kept:]

    def rest(self, count: int, *state: Tensor) -> Float[Tensor, "samples"]:
        """What is left up to the last of so many frames, from the state after it."""
        if not self.has_noise:
            return torch.zeros(0)
        left, hop = self.n_fft // 2 - self.hop_length, self.hop_length
        ages = torch.arange(len(self.weights))
        weights = [
            (((ages <= count + later) & (ages > later)).float() @ self.weights).clamp(min=1e-11)
            for later in range(-(-left // hop))
        ]
        return state[3][hop:] + state[4][:left] / torch.cat(weights)[:left]

    def _controls(
        self, hidden: Tensor, batch: dict[str, Float[Tensor, "frames"]]
    ) -> tuple[dict[str, Float[Tensor, "frames values"]], Tensor]:
        """Controls of the frames by role, and the encoder's state."""
        features, encoder = None, self.player.encoder
        if encoder is not None:
            heard = encoder.heard([batch[name] for name in encoder.hears])
            features, hidden = gru(encoder.gru, heard.unsqueeze(0), hidden)
            features = features.squeeze(0)
        return controls_of(self.player, features, batch), hidden

    def _filtered(
        self, framed: Float[Tensor, "frames n_fft"], magnitude: Float[Tensor, "frames bands"]
    ) -> Float[Tensor, "frames n_fft"]:
        if torch.onnx.is_in_onnx_export():  # which has no complex numbers
            return filter_by_places(framed, magnitude @ self.placed)
        return filter_frame(framed, magnitude @ self.spread)

    def _harmonics(
        self,
        turns: Float[Tensor, "1"],
        pairs: Float[Tensor, "frames 2 values"],
        begun: Float[Tensor, "frames 1"],
    ) -> tuple[Tensor, Tensor]:
        """Hops from frame to frame, of which each has both ends, and where the waves are after them."""
        hz = (pairs.select(2, -1) * begun).double()
        advance = hz @ self.advance
        ends = advance.narrow(1, self.hop_length - 1, 1)
        turns = (turns + (ends.cumsum(dim=0) - ends) + advance).fmod(1)
        play = _sum_masked if torch.onnx.is_in_onnx_export() else looped(_sum_audible)
        orders = self.harmonics, self.speed, self.pitch
        played = play(pairs, turns.float().unsqueeze(1), hz, *orders) * self.share
        return played.sum(dim=1).reshape(-1), turns.reshape(-1)[-1:]

    def _partials(
        self,
        turns: Float[Tensor, "partials"],
        pairs: Float[Tensor, "frames 2 values"],
        begun: Float[Tensor, "frames 1"],
    ) -> tuple[Tensor, Tensor]:
        """:meth:`_harmonics` of partials that are not locked."""
        count = len(self.harmonics)
        f0_hz, stiffness = (pairs.narrow(2, count, 2).double() * begun.unsqueeze(2)).unbind(dim=2)
        freq_hz = partials_hz(f0_hz, stiffness, count)
        advance, pitch = (ends.transpose(0, 1) @ freq_hz for ends in (self.advance, self.pitch))
        ends = advance[:, -1:]
        turns = (turns + (ends.cumsum(dim=0) - ends) + advance).fmod(1)
        waves = (2 * torch.pi * turns.float()).sin() * (pitch < 1).float()
        played = (pairs.narrow(2, 0, count) @ waves.transpose(1, 2)) * self.share
        return played.sum(dim=1).reshape(-1), turns[-1, -1]


def _sum_audible(
    pairs: Tensor, turns: Tensor, hz: Tensor, harmonics: Tensor, speed: Tensor, pitch: Tensor
) -> Tensor:
    """Sines of the harmonics below Nyquist, with the amplitudes of both ends of each hop.

    Where all that are heard at the lowest pitch are heard at the highest, as they are but for a moment of a
    glide, nothing is masked.
    """
    ends = torch.aminmax(hz * pitch[0, 0])  # in parts of Nyquist
    lowest, highest, most = float(ends[0]), float(ends[1]), harmonics.size(0)
    if lowest * most >= 1:
        most = max(1, int(math.ceil(1 / lowest)) - 1)
    waves = (speed.narrow(0, 0, most) * turns).sin_()
    if not most * highest < 1:  # nor where the pitch is no number
        reach = (hz @ pitch).reciprocal().ceil().float().unsqueeze(1)  # lower orders are audible
        waves.mul_((reach - harmonics.narrow(0, 0, most)).clamp_(0, 1))
    return torch.bmm(pairs.narrow(2, 0, most), waves)


def _sum_masked(
    pairs: Tensor, turns: Tensor, hz: Tensor, harmonics: Tensor, speed: Tensor, pitch: Tensor
) -> Tensor:
    """:func:`_sum_audible` without a branch, for ONNX."""
    reach = (hz @ pitch).reciprocal().ceil().float().unsqueeze(1)
    most = (harmonics < reach.amax()).sum().clamp(min=1)  # one where the pitch is no number
    audible = (reach - harmonics[:most]).clamp_(0, 1)
    return torch.bmm(pairs.narrow(2, 0, most), (speed[:most] * turns).sin_().mul_(audible))
