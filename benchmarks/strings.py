"""A string against the dense formulation: one row of coefficients a sample, filtered by torchlpc.

    python -m benchmarks.strings [--batch 1] [--seconds 4]

The whole of resynthesis, forward and backward: splines, loop, inverse, loop; the dense form in float32, ours
in float64.
"""

import argparse

import torch
from torch import Tensor
from torchlpc import sample_wise_lpc

from benchmarks.measure import Floor, compare, cost, share
from drumblender.dsp.resample import kaiser_resample
from drumblender.dsp.splines import _hermite_plain, _slope_matrix
from drumblender.dsp.strings import _taps_plain, constrain_loop_coefficients
from drumblender.dsp.windows import place_windows
from drumblender.synths import StringSynth


def dense_rows(lag: Tensor, taps: Tensor, width: int) -> Tensor:
    """Coefficients ``(batch, samples, width)`` with the taps of each sample at its lag."""
    rows = taps.new_zeros(*lag.shape, width)
    return rows.scatter(2, lag[..., None] - 1 + torch.arange(taps.shape[2]), taps)


def dense_resynthesis(synth: StringSynth, raw: dict[str, Tensor], source: Tensor) -> Tensor:
    """What the synth renders, the way it was: dense rows for the inverse filter and for the loop."""
    heard = kaiser_resample(source, synth.sample_rate, synth.internal_rate)
    num_samples = heard.shape[1]

    def spread(frames: Tensor) -> Tensor:
        slopes = _slope_matrix(frames.shape[1]).to(frames) @ frames
        return _hermite_plain(frames, slopes, 0, num_samples, num_samples)

    loop = constrain_loop_coefficients(spread(raw["loop_taps"]), spread(raw["loop_gain"]))
    period = spread(synth.internal_rate / raw["f0_hz"])[..., 0]
    width = synth.max_delay + loop.shape[2] + 1
    rows = dense_rows(*_taps_plain(period, loop, synth.max_delay), width)
    past = torch.nn.functional.pad(heard, (width, -1)).unfold(1, width, 1).flip(2)
    whitened = heard + (rows * past).sum(dim=2)
    ones = whitened.new_ones(len(whitened), len(synth.onset_s), synth.window)
    starts = [int(start * synth.internal_rate) for start in synth.onset_s]
    ringing = sample_wise_lpc(whitened * place_windows(ones, starts, num_samples), rows)
    return kaiser_resample(ringing, synth.internal_rate, synth.sample_rate)[:, : source.shape[1]]


def floor_of(synth: StringSynth, batch: int, num_samples: int) -> Floor:
    """For each sample inside: five splines, a softmax, the inverse and the loop, about 100 operations, and
    twice that for the way back; three resamplings, one of them on that way, of 68 products a sample."""
    internal = num_samples * synth.internal_rate / synth.sample_rate
    return Floor(batch * internal * (300 + 3 * 2 * 68), 4 * 4 * batch * num_samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    synth = StringSynth()
    num_samples = int(options.seconds * synth.sample_rate)
    raw = {
        name: torch.randn(options.batch, synth.control_frames.get(name, 250), size, generator=generator)
        for name, size in synth.control_sizes.items()
    }
    raw["f0_hz"] = 200 + 3 * raw["f0_hz"]
    raw["loop_gain"] = raw["loop_gain"] * 0.2 + 5
    raw = {name: value.requires_grad_() for name, value in raw.items()}
    source, slope = (torch.randn(options.batch, num_samples, generator=generator) for _ in range(2))

    def ours() -> None:
        controls = {name: value if name == "f0_hz" else value.sigmoid() for name, value in raw.items()}
        synth(controls, num_samples, source).backward(slope)

    def plain() -> None:
        dense_resynthesis(synth, raw, source).backward(slope)

    with torch.no_grad():
        controls = {name: value if name == "f0_hz" else value.sigmoid() for name, value in raw.items()}
    exact = {name: value.detach().double().requires_grad_() for name, value in raw.items()}
    expected = dense_resynthesis(synth, exact, source.double())
    expected.backward(slope.double())
    ours()
    with torch.no_grad():
        errors = [share(synth(controls, num_samples, source), expected)]
        errors += [share(raw[name].grad, exact[name].grad) for name in ("f0_hz", "loop_taps", "loop_gain")]
    print(f"batch {options.batch}, {options.seconds} s; errors of sound and gradients: {errors}\n")
    floor = floor_of(synth, options.batch, num_samples)
    compare("resynthesis, forward and backward", cost(ours, 7), cost(plain, 2), floor, errors)


if __name__ == "__main__":
    main()
