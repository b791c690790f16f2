"""The next frames of timbre transfer as a function of tensors, state in and out: what leaves Python."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers import CorrectedSpectra, HarmonicControls
from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.frame_filter import bin_places, filter_by_places, filter_frame
from drumblender.dsp.frame_overlap import add_frames, cut_frames
from drumblender.dsp.partials import partials_hz
from drumblender.encoders import ControlGRU
from drumblender.synths.harmonic_stream import NoiseStream

Player = HarmonicControls | CorrectedSpectra
State = tuple[Tensor, ...]


def play_frames(player: Player, state: Any, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Any]:
    """Controls of the next frames by role (``amp``, perhaps ``magnitude``), and the encoder's state.

    Raises:
        ValueError: A curve that the controller hears is missing.
    """
    features, encoder = None, player.encoder
    if missing := sorted(set(player.hears) - set(batch)):
        raise ValueError(f"The model hears {missing}; the curves are {sorted(batch)}.")
    if encoder is not None:
        features, state = encoder.advance(state, *(batch[name] for name in encoder.hears))
    if isinstance(player, CorrectedSpectra):
        controls = player.controls(features, batch)
    else:
        controls = player.controls(features, batch["f0_hz"], batch["loudness_db"])
    return {role: controls[name] for role, name in player.names.items()}, state


class FrameStep(nn.Module):
    """Plays the hop before each of the next frames, from their curves and the state that was left.

    All that moves is in the state, so that ``torch.jit.trace`` and ONNX can have it; :class:`SteppedStream`
    carries it. Gives what :class:`~drumblender.inference.transfer.TransferStream` gives.

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
        >>> state = step.initial(torch.zeros(0))
        >>> curves = torch.tensor([[220.0], [-20.0]])
        >>> for frames in (1, 2):
        ...     sound, *state = step(curves.expand(-1, frames), torch.zeros(0), *state)
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
        rate, share = player.sample_rate, torch.arange(hop_length, dtype=torch.float64) / hop_length
        pitch = torch.stack([1 - share, share])  # from one frame, on a line to the next
        harmonics = torch.arange(1.0, player.control_sizes[player.names["amp"]] + 1)[:, None]
        constants = {
            "window": window,
            "weights": weights,
            "share": pitch.float(),  # of a frame and the next
            "overlap": weights.cumsum(dim=0).clamp(min=1e-11),  # with so many frames before
            "lines": torch.cat([pitch.cumsum(dim=1) / rate, pitch / (rate / 2)], dim=1),
            "steps": torch.arange(self.most_frames),
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

    def initial(self, noise: Float[Tensor, "samples"]) -> State:
        """The state before the first frame, with the first ``n_fft // 2 + 1`` samples of noise."""
        encoder, size = self.player.encoder, self.player.control_sizes[self.player.names["amp"]]
        hidden = torch.zeros(1, 1, 1)
        if encoder is not None:
            hidden = torch.zeros(encoder.gru.num_layers, 1, encoder.gru.hidden_size)
        harmonics = (
            hidden,
            torch.zeros(1, dtype=torch.int64),
            torch.zeros(size if self.stiff else 1, dtype=torch.float64),
            torch.zeros(1, size, dtype=torch.float64) if self.stiff else torch.zeros(1),
            torch.zeros(1, size),
        )
        if not self.has_noise:
            return harmonics
        half = self.n_fft // 2
        under = torch.cat([noise[1 : half + 1].flip(0), noise[:half]])
        return *harmonics, torch.zeros(half), under, torch.zeros(self.n_fft - self.hop_length)

    def forward(
        self, curves: Float[Tensor, "inputs frames"], noise: Float[Tensor, "samples"], *state: Tensor
    ) -> tuple[Tensor, ...]:
        """Sound of a hop for each frame, ``late_samples`` behind the latest, and the state after them.

        Args:
            curves: Of the next frames, at most ``most_frames``; a row for each of ``inputs``.
            noise: The next ``frames * hop_length`` samples of white noise, half an FFT ahead; none without
                noise.
            state: From ``initial``, or from the last call.
        """
        hidden, count, turns, last_hz, last_amp = state[:5]
        batch = dict(zip(self.inputs, curves.split(1), strict=True))
        controls, after = play_frames(self.player, hidden, batch)
        f0_hz, amp = batch["f0_hz"].flatten(), torch.cat([last_amp, controls["amp"][0]])
        if self.stiff:
            f0_hz = partials_hz(f0_hz.double(), controls["stiffness"].flatten().double(), len(self.harmonics))
        f0_hz = torch.cat([last_hz, f0_hz])
        frames, hop = curves.shape[1], self.hop_length
        before = count + self.steps[:frames]  # how many frames each has before it
        begun, play = before.clamp(max=1), self._partials if self.stiff else self._harmonics
        pairs_hz = cut_frames(f0_hz, 2, 1, frames) * begun.view(-1, *(1,) * f0_hz.ndim)
        played, turns = play(turns, pairs_hz, cut_frames(amp, 2, 1, frames))
        harmonics = (hidden if after is None else after, before[-1:] + 1, turns, f0_hz[-1:], amp[-1:])
        if not self.has_noise:
            return played, *harmonics
        waiting, under, sound = state[5:]
        waiting, under, total = torch.cat([waiting, played]), torch.cat([under, noise]), noise.shape[0]
        framed = cut_frames(under, self.n_fft, hop, frames) * self.window
        sound = add_frames(sound, self._filtered(framed, controls["magnitude"]) * self.window, hop, frames)
        overlap = self.overlap.index_select(0, before.clamp(max=self.last)).reshape(-1)
        ready = waiting.narrow(0, hop, total) + sound[:total] / overlap
        return ready, *harmonics, waiting[total:], under[total:], sound[total:]

    def rest(self, *state: Tensor) -> Float[Tensor, "samples"]:
        """What is left up to the last frame, from the state after it."""
        if not self.has_noise:
            return torch.zeros(0)
        left, count, hop = self.n_fft // 2 - self.hop_length, state[1], self.hop_length
        ages = torch.arange(len(self.weights))
        weights = [
            (((ages <= count + later) & (ages > later)).float() @ self.weights).clamp(min=1e-11)
            for later in range(-(-left // hop))
        ]
        return state[5][hop:] + state[7][:left] / torch.cat(weights)[:left]

    def _filtered(
        self, framed: Float[Tensor, "frames n_fft"], magnitude: Float[Tensor, "1 frames bands"]
    ) -> Float[Tensor, "frames n_fft"]:
        if torch.onnx.is_in_onnx_export():  # which has no complex numbers
            return filter_by_places(framed, magnitude.squeeze(0) @ self.placed)
        return filter_frame(framed, (magnitude @ self.spread).squeeze(0))

    def _harmonics(
        self, turns: Tensor, f0_hz: Float[Tensor, "frames 2"], amp: Float[Tensor, "frames 2 harmonics"]
    ) -> tuple[Tensor, Tensor]:
        """Hops from frame to frame, of which each has both ends, and where the waves are after them."""
        lines = f0_hz.double() @ self.lines
        advance, pitch = lines.view(-1, 2, 1, self.hop_length).unbind(dim=1)
        ends = advance[..., -1:]
        turns = (turns + (ends.cumsum(dim=0) - ends) + advance).fmod(1)
        reach = pitch.reciprocal().ceil().float()  # lower orders are audible
        most = (self.harmonics < reach.amax()).sum().clamp(min=1)  # one where the pitch is no number
        audible = (reach - self.harmonics[:most]).clamp_(0, 1)
        waves = (self.speed[:most] * turns.float()).sin_().mul_(audible)
        played = (amp.narrow(2, 0, most) @ waves) * self.share
        return played.sum(dim=1).reshape(-1), turns.reshape(-1)[-1:]

    def _partials(
        self,
        turns: Float[Tensor, "partials"],
        freq_hz: Float[Tensor, "frames 2 partials"],
        amp: Float[Tensor, "frames 2 partials"],
    ) -> tuple[Tensor, Tensor]:
        """:meth:`_harmonics` of partials that are not locked."""
        lines = self.lines.transpose(0, 1) @ freq_hz.double()
        advance, pitch = lines.split(self.hop_length, dim=1)
        ends = advance[:, -1:]
        turns = (turns + (ends.cumsum(dim=0) - ends) + advance).fmod(1)
        waves = (2 * torch.pi * turns.float()).sin() * (pitch < 1).float()
        return ((amp @ waves.transpose(1, 2)) * self.share).sum(dim=1).reshape(-1), turns[-1, -1]


class SteppedStream:
    """Frames of curves in, sound out, by a :class:`FrameStep` or what it was traced or exported to.

    Args:
        step: Its sizes.
        call: What is called with tensors; None: the step itself.
        seed: Of the noise, as of ``TransferStream``.
    """

    def __init__(
        self, step: FrameStep, call: Callable[..., Sequence[Tensor]] | None = None, seed: int = 0
    ) -> None:
        self.step, self._call = step, step if call is None else call
        self._needed = set(step.inputs)
        self._source = NoiseStream(step.hop_length, step.n_fft, seed)
        first = self._source.draw(step.n_fft // 2 + 1)
        self._early = first[-1:]  # drawn for the mirror at the start, and heard once more
        self._state: Sequence[Tensor] = step.initial(first)
        self._drop, self._begun = step.late_samples, False

    def push(self, curves: dict[str, Float[Tensor, "frames"]]) -> Float[Tensor, "samples"]:
        """The sound as far as it is final."""
        with torch.inference_mode():  # a fifth less time
            sound = self._pushed(curves)
        return sound.clone()  # which may be written to

    def _pushed(self, curves: dict[str, Float[Tensor, "frames"]]) -> Tensor:
        if not curves.keys() >= self._needed:
            missing = sorted(self._needed - curves.keys())
            raise ValueError(f"The model hears {missing}; the curves are {sorted(curves)}.")
        frames, most = torch.stack([curves[name] for name in self.step.inputs]), self.step.most_frames
        if frames.shape[1] > most:
            return torch.cat([self._played(few) for few in frames.split(most, dim=1)])
        return self._played(frames) if frames.shape[1] else torch.zeros(0)

    def _played(self, frames: Float[Tensor, "inputs frames"]) -> Tensor:
        sound, *self._state = self._call(frames, self._noise(frames.shape[1]), *self._state)
        self._begun = True
        if not self._drop:
            return sound
        dropped = min(self._drop, len(sound))
        self._drop -= dropped
        return sound[dropped:]

    def finish(self) -> Float[Tensor, "samples"]:
        """The rest, up to the last frame."""
        if not self._begun:
            return torch.zeros(0)
        return self.step.rest(*(torch.as_tensor(value) for value in self._state))[self._drop :]

    def _noise(self, frames: int) -> Tensor:
        if not self.step.has_noise:
            return torch.zeros(0)
        early, self._early = self._early, torch.zeros(0)
        drawn = self._source.draw(frames * self.step.hop_length - len(early))
        return torch.cat([early, drawn]) if len(early) else drawn
