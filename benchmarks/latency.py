"""Timbre transfer block by block: how late it sounds, and how much of a core it takes.

    python -m benchmarks.latency [--seconds 2] [--hidden 512]

For each block size the delay in ms (a block has to come before it is played), the time that half and 99 % of
the blocks take, and the real-time factor: CPU seconds a second of sound. First from curves alone (Neural
Guitar's `tiny`: a GRU of 512, 101 harmonics, 65 bands), as eager modules, one frame in eager torch, traced,
and in onnxruntime, beside the floor: the product of each frame's state with the GRU's weights (3 MB), and
nothing else; then from sound, with YIN in front. Load on the machine comes and goes: of each block the
best of ten rounds counts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from drumblender.controllers import HarmonicControls
from drumblender.encoders import ControlGRU
from drumblender.features import NoteCurves
from drumblender.inference.frame_export import export_step, load_step
from drumblender.inference.frame_step import FrameStep
from drumblender.inference.live import LiveTransfer
from drumblender.inference.stepped_stream import SteppedStream
from drumblender.inference.transfer import TransferStream
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth

RATE, HOP, ROUNDS = 16000, 160, 10
SIZES = (64, 256, 1024, 4096)


def published_player(hidden: int) -> HarmonicControls:
    torch.manual_seed(0)
    player = HarmonicControls(ControlGRU(hidden))
    player.serve(MixSynth({"harmonic": HarmonicSynth(101), "noise": FilteredNoiseSynth(65)}))
    return player.eval()


class Products:
    """What no form goes below: all recurrent weights are read once a frame."""

    def __init__(self, gru: torch.nn.GRU) -> None:
        self._columns = gru.weight_hh_l0.detach().t().contiguous()
        self._state = torch.zeros(1, gru.hidden_size)

    def push(self, curves: dict[str, Tensor]) -> None:
        for _ in range(len(curves["f0_hz"])):
            self._state @ self._columns


def engines(player: HarmonicControls, folder: Path) -> dict[str, Callable[[], object]]:
    """What plays curves, by name; each call starts anew."""
    step = FrameStep(player)
    made = {
        "the recurrent product alone": lambda: Products(player.encoder.gru),
        "eager": lambda: TransferStream(player),
        "eager, one frame": lambda: SteppedStream(step),
    }
    for name, suffix in (("traced", "pt"), ("onnxruntime", "onnx")):
        path = folder / f"step.{suffix}"
        export_step(step, path, {})
        _, call = load_step(player, path)
        made[name] = lambda call=call: SteppedStream(step, call)
    return made


def timed(pushes: Callable[[], tuple[Callable, list]]) -> tuple[float, float, float]:
    """Milliseconds that half and 99 % of the blocks take, and CPU seconds of all; the best round of each.

    The rounds do the same, so that of every block the least is what it takes where nothing else runs.
    """
    rounds = []
    for _ in range(ROUNDS):
        push, blocks = pushes()
        took = []
        with torch.inference_mode():
            for block in blocks:
                before, busy = time.perf_counter(), time.thread_time()
                push(block)
                took.append((1000 * (time.perf_counter() - before), time.thread_time() - busy))
        rounds.append(took)
    wall, cpu = torch.tensor(rounds, dtype=torch.float64).amin(dim=0).unbind(dim=-1)
    half, most = torch.quantile(wall, torch.tensor([0.5, 0.99], dtype=torch.float64)).tolist()
    return half, most, float(cpu.sum())


def curves_in_blocks(seconds: float, size: int) -> list[dict[str, Tensor]]:
    """Frames of curves as blocks of sound complete them; a block may complete none."""
    frames = int(seconds * RATE / HOP)
    even = torch.linspace(0, 1, frames)
    curves = {"f0_hz": 110 * 4**even, "loudness_db": -40 + 20 * torch.sin(20 * even)}
    ends = [min(frames, end // HOP) for end in range(size, int(seconds * RATE) + 1, size)]
    return [
        {name: curve[start:end] for name, curve in curves.items()}
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--hidden", type=int, default=512)
    given = parser.parse_args()
    torch.set_num_threads(1)
    player = published_player(given.hidden)
    head = f"{'block':>6}{'delay ms':>10}{'50 % ms':>10}{'99 % ms':>10}{'of a core':>11}"
    with tempfile.TemporaryDirectory() as folder:
        made = engines(player, Path(folder))
        for name, engine in made.items():
            print(f"from curves, {name}\n{head}")
            for size in SIZES:
                blocks = curves_in_blocks(given.seconds, size)

                def begin(engine=engine, blocks=blocks) -> tuple[Callable, list]:
                    stream = engine()
                    return (lambda curves: stream.push(curves) if len(curves["f0_hz"]) else None), blocks

                tell(size, 1000 * (size + HOP + 512) / RATE, timed(begin), given.seconds)
        voice = 0.2 * torch.sin(2 * torch.pi * 220 / RATE * torch.arange(int(given.seconds * RATE)))
        for frame in (2048, 1024):
            print(f"from sound, YIN of {frame} samples, onnxruntime\n{head}")
            live = LiveTransfer(
                player, NoteCurves(tracker="yin"), yin_frame=frame, engine=made["onnxruntime"]
            )
            for size in SIZES:

                def restart(live=live, size=size) -> tuple[Callable, list]:
                    live.reset()
                    return live.process, list(voice.split(size))

                tell(size, 1000 * (size + live.latency_samples) / RATE, timed(restart), given.seconds)


def tell(size: int, delay_ms: float, found: tuple[float, float, float], seconds: float) -> None:
    half, most, cpu_s = found
    print(f"{size:6}{delay_ms:10.1f}{half:10.2f}{most:10.2f}{cpu_s / seconds:11.3f}", flush=True)


if __name__ == "__main__":
    main()
