"""Mode analysis of two seconds, published settings: ``python -m benchmarks.mode_analysis [RECORDING ...]``.

The plain way is nnAudio's time-domain CQT and Python loops over frames and tracks. Each recording given is
also analysed, played back and compared with itself.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import compare, cost
from drumblender.dsp import cqt
from drumblender.dsp.oscillators import damped_sines, modal_bank
from drumblender.dsp.units import hz_to_rad
from drumblender.features import CQTModalAnalysis

RATE, SAMPLES = 48_000, 96_000
PUBLISHED = {
    "sample_rate": RATE,
    "hop_length": 256,
    "fmin": 20.0,
    "n_bins": 240,
    "bins_per_octave": 24,
    "min_length": 10,
    "num_modes": 64,
    "threshold": -80.0,
    "diff_threshold": 5.0,
}
ALIGNED = {
    "first_frame": "split",
    "skip_empty_frames": False,
    "match_phases": True,
    "phase_reference": "sine",
    "hold_last_frequency": True,
}


def struck_membrane() -> Tensor:
    """A drum of twelve modes and a noisy stroke, ``(1, samples)``."""
    generator = torch.Generator().manual_seed(0)
    ratio = torch.tensor([[1.0, 1.59, 2.14, 2.3, 2.65, 2.92, 3.16, 3.5, 3.6, 3.65, 4.06, 4.15]])
    tone = damped_sines(130 * ratio, 0.9 / ratio, 0.3 / ratio, num_samples=SAMPLES, sample_rate=RATE)
    noise = torch.randn(1, SAMPLES, generator=generator) * torch.exp(-torch.arange(SAMPLES) / (0.03 * RATE))
    return tone + 0.1 * noise


class PlainAnalysis:
    """The same analysis with nnAudio and Python lists (default options only)."""

    def __init__(self) -> None:
        from nnAudio.features.cqt import CQT

        self.transform = CQT(
            sr=RATE,
            hop_length=PUBLISHED["hop_length"],
            fmin=PUBLISHED["fmin"],
            n_bins=PUBLISHED["n_bins"],
            bins_per_octave=PUBLISHED["bins_per_octave"],
            output_format="Complex",
            verbose=False,
        )

    @torch.no_grad()
    def __call__(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spectrum = self.transform(audio, normalization_type="wrap")[0]
        spectrum = torch.view_as_complex(spectrum.contiguous()).numpy()
        lists = track_in_python(spectrum, PUBLISHED["threshold"], PUBLISHED["diff_threshold"])
        tensors = stack_in_python(*lists, spectrum.shape[1], PUBLISHED["min_length"])
        loudest = tensors[1].sum(dim=-1).argsort(descending=True)[: PUBLISHED["num_modes"]]
        bins, amps, phases = (part[loudest] for part in tensors)
        return PUBLISHED["fmin"] * 2 ** (bins / PUBLISHED["bins_per_octave"]), amps, phases


def track_in_python(spectrum: np.ndarray, threshold_db: float, diff_threshold: float) -> tuple[list, ...]:
    """Frequencies in bins, amplitudes and phases of tracks, as lists whose first item is the last frame.

    There are more lists of phases than tracks; those at the end belong to none.
    """
    freqs, amps, phases = [], [], []
    for frame in spectrum.T[::-1]:
        location, height, angle = (list(part) for part in peaks_in_python(frame, threshold_db))
        if not location:
            continue
        if not freqs:
            freqs, amps, phases = [location], [height], [angle]
            continue
        for track, (freq, amp) in enumerate(zip(freqs, amps, strict=True)):
            distance = np.abs(np.array(location) - freq[-1])
            if location and distance.min() < diff_threshold / 100 * freq[-1]:
                nearest = int(distance.argmin())
                freq.append(location.pop(nearest))
                amp.append(height.pop(nearest))
                phases[track].append(angle[nearest])  # the list of angles never shrinks
            else:
                freq.append(freq[-1])
                amp.append(0.0)
                phases[track].append(phases[track][-1])
        freqs += [[value] for value in location]
        amps += [[value] for value in height]
        phases += [[value] for value in angle]
    return freqs, amps, phases


def peaks_in_python(frame: np.ndarray, threshold_db: float) -> tuple[list, list, list]:
    """Locations in bins, magnitudes and phases of one frame's peaks."""
    magnitude, phase = np.abs(frame), np.angle(frame).astype(np.float64)
    level = 20 * np.log10(magnitude + np.float32(1e-8))
    location, height, angle = [], [], []
    for k in range(1, len(level) - 1):
        if level[k] > max(threshold_db, level[k - 1], level[k + 1]) and level[k] != 0:
            left, center, right = magnitude[k - 1 : k + 2].astype(np.float64)
            shift = (left - right) / (2 * (left - 2 * center + right))
            location.append(k + shift)
            height.append(center - (left - right) * shift / 4)
            angle.append(np.interp(k + shift, np.arange(len(phase)), phase))
    return location, height, angle


def stack_in_python(freqs: list, amps: list, phases: list, num_frames: int, min_length: int) -> list[Tensor]:
    """Tensors ``(tracks, frames)`` of the tracks that are long enough, back in the order of time."""
    kept = [track for track, freq in enumerate(freqs) if len(freq) >= min_length]
    tensors = [torch.zeros(len(kept), num_frames) for _ in range(3)]
    for tensor, lists in zip(tensors, (freqs, amps, phases), strict=True):
        for row, track in enumerate(kept):
            for frame, value in enumerate(lists[track][::-1][:num_frames]):
                tensor[row, frame] = value
    return tensors


def log_spectral_distance_db(prediction: Tensor, target: Tensor) -> float:
    """Root mean square over bins, mean over frames that sound, of the difference of levels above -80 dB."""
    window = torch.hann_window(2048)
    levels = [
        10
        * torch.log10(
            torch.stft(x, 2048, 512, window=window, return_complex=True).abs().square() / 512**2 + 1e-8
        )
        for x in (prediction, target)
    ]
    by_frame = (levels[0] - levels[1]).square().mean(dim=1).sqrt()
    return by_frame[levels[1].amax(dim=1) > -60].mean().item()


def resynthesis(path: Path) -> None:
    """Print how far a recording is from what its modes play back."""
    import soundfile
    import torchaudio

    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = torchaudio.functional.resample(torch.from_numpy(audio[:, 0]), rate, RATE)[None, :SAMPLES]
    audio = torch.nn.functional.pad(audio, (0, SAMPLES - audio.shape[-1]))
    distances = [log_spectral_distance_db(torch.zeros_like(audio), audio)]
    for options, align in (({}, "center"), (ALIGNED, "hop")):
        freq_hz, amp, phase = CQTModalAnalysis(**PUBLISHED | options)(audio)
        played = modal_bank(hz_to_rad(freq_hz, RATE), amp, phase, num_samples=SAMPLES, align=align)
        distances.append(log_spectral_distance_db(played, audio))
    print(f"{path.name:40}" + "".join(f"{distance:10.1f}" for distance in distances))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, help="audio files to analyse and play back")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # files are what is spread over cores
    audio = struck_membrane()

    started = time.process_time()
    analysis = CQTModalAnalysis(**PUBLISHED)
    analysis(audio)
    between = time.process_time()
    plain = PlainAnalysis()
    plain(audio)
    first_s = between - started, time.process_time() - between
    print("first call in the process, CPU s: ours {:.2f}, plain {:.2f}\n".format(*first_s))

    compare("kernels at hand", cost(lambda: analysis(audio), 9), cost(lambda: plain(audio), 3))

    def from_scratch() -> None:
        cqt._plan.cache_clear()
        analysis(audio)

    compare("kernels made anew", cost(from_scratch, 5), cost(lambda: PlainAnalysis()(audio), 3))
    found, expected = analysis(audio), plain(audio)
    difference = (found[1][0] - expected[1]).abs().max()
    print(f"{found[1].shape[1]} modes, largest difference of amplitudes {difference:.1e}")

    if arguments.recordings:
        print(
            "\nlog-spectral distance in dB from\n" + f"{'':40}{'silence':>10}{'published':>10}{'aligned':>10}"
        )
        for path in arguments.recordings:
            resynthesis(path)


if __name__ == "__main__":
    main()
