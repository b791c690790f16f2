"""Each public op of ``drumblender.dsp`` that has gradients, with an example call of three sounds in float64.

An example is what is called with the tensors that have a gradient, and the function that draws those. Every
tensor begins with the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from drumblender.dsp import (
    a_weighting,
    all_pole,
    band_filter,
    bands,
    cepstra,
    cqt,
    decays,
    drum_voice,
    energy,
    envelopes,
    filtered_noise,
    filters,
    frame_filter,
    harmonics,
    loudness,
    mdct,
    mixing,
    moments,
    noise,
    oscillators,
    partials,
    precision,
    real_spectra,
    resample,
    roots,
    short_time,
    spectra,
    spectral_distance,
    spectral_transport,
    splines,
    stft_noise,
    strings,
    tables,
    transport,
    units,
    windows,
    zero_phase,
)
from drumblender.dsp.cqt_filters import CQTSettings

RATE = 8000


def draw(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64)


def sound(samples: int = 60) -> Tensor:
    return draw(3, samples, low=-0.5, high=0.5)


def hz(*shape: int) -> Tensor:
    return draw(*shape, low=100, high=1100)


def ms(*shape: int) -> Tensor:
    return draw(*shape, low=10, high=110)


def spectrum_of(x: Tensor) -> Tensor:
    return spectra.stft(x, 16, 4)


def real(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op that gives complex numbers, as one that gives real ones."""
    return lambda *given: torch.view_as_real(op(*given)).flatten(1)


def both(op: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Tensor]:
    """An op that gives several tensors, as one that gives them end to end."""
    return lambda *given: torch.cat([part.flatten(1) for part in op(*given)], dim=1)


SIZE = {"num_samples": 60, "sample_rate": RATE}
FRAMES = {"frame_size": 16, "hop_length": 8}
STFT = {"n_fft": 16, "hop_length": 4}
BANDS = STFT | {"sample_rate": RATE, "low_hz": 100.0, "high_hz": 0.4 * RATE}
CQT = CQTSettings(RATE, hop_length=32, fmin_hz=500.0, n_bins=6)
STABLE = torch.tensor([[1, -0.9, 0.4]] * 3).double()
LAG = torch.full((3, 40), 3)
LEVELS = torch.linspace(0.2, 1, 5).double()
Example = tuple[Callable[..., Tensor], Callable[[], tuple[Tensor, ...]]]

OPS: dict[str, Example] = {
    "a_weighting.a_weighting_db": (a_weighting.a_weighting_db, lambda: (hz(3),)),
    "a_weighting.a_curve_weight": (lambda x: a_weighting.a_curve_weight(x, RATE), lambda: (sound(),)),
    "a_weighting.a_weighted_power_db": (
        lambda x: a_weighting.a_weighted_power_db(x, RATE, **STFT),
        lambda: (sound(),),
    ),
    "all_pole.all_pole": (all_pole.all_pole, lambda: (draw(3, 40), draw(3, 40, 2, high=0.2))),
    "all_pole.sparse_all_pole": (
        lambda x, a: all_pole.sparse_all_pole(x, LAG[: len(x)].to(x.device), a),
        lambda: (draw(3, 40), draw(3, 40, 2, high=0.2)),
    ),
    "all_pole.sparse_all_pole_inverse": (
        lambda x, a: all_pole.sparse_all_pole_inverse(x, LAG[: len(x)].to(x.device), a),
        lambda: (draw(3, 40), draw(3, 40, 2, high=0.2)),
    ),
    "all_pole.windowed_all_pole": (
        lambda x, a: all_pole.windowed_all_pole(x, a, [0, 20]),
        lambda: (draw(3, 40), draw(3, 9, 2, high=0.2)),
    ),
    "all_pole.final_state": (all_pole.final_state, lambda: (draw(3, 8), draw(3, 5))),
    "band_filter.filter_bands": (
        lambda x, gain_db: band_filter.filter_bands(x, gain_db, **BANDS),
        lambda: (draw(3, 60), draw(3, 16, 3)),
    ),
    "bands.band_powers": (lambda x: bands.band_powers(x, num_bands=3, **BANDS), lambda: (sound(),)),
    "bands.smoothed": (lambda x: bands.smoothed(x, 3), lambda: (draw(3, 6, 2),)),
    "cepstra.mel_cepstrum": (
        lambda x: cepstra.mel_cepstrum(x, sample_rate=RATE, num_coefficients=4, num_mels=5, **STFT),
        lambda: (sound(),),
    ),
    "cqt.cqt": (real(lambda x: cqt.cqt(x, CQT)), lambda: (sound(400),)),
    "cqt.cqt_magnitudes": (lambda x: cqt.cqt_magnitudes(x, CQT), lambda: (sound(400),)),
    "decays.decay_rate": (lambda d: decays.decay_rate(d, RATE), lambda: (ms(3),)),
    "decays.exponential_decay": (lambda d: decays.exponential_decay(d, **SIZE), lambda: (ms(3),)),
    "decays.decaying_sweep": (
        lambda *given: decays.decaying_sweep(*given, **SIZE),
        lambda: (hz(3), draw(3), ms(3), ms(3), draw(3)),
    ),
    "decays.modulated_sine": (
        lambda *given: decays.modulated_sine(*given, sample_rate=RATE),
        lambda: (hz(3), draw(3, 60), draw(3)),
    ),
    "drum_voice.drum_voice": (
        lambda *given: drum_voice.drum_voice(*given[:-2], given[-2:], sample_rate=RATE),
        lambda: (
            *(hz(3, 2), draw(3, 2), ms(3), ms(3, 2), draw(3, 2), sound(), ms(3), draw(3), draw(3)),
            *(draw(3, 3), STABLE),
        ),
    ),
    "energy.amplitude_envelope": (lambda x: energy.amplitude_envelope(x, 8), lambda: (sound(),)),
    "energy.temporal_centroid_ms": (
        lambda x: energy.temporal_centroid_ms(x, sample_rate=RATE, window=8),
        lambda: (draw(3, 60),),
    ),
    "envelopes.interpolate_frames": (
        lambda x: envelopes.interpolate_frames(x, 50),
        lambda: (draw(3, 6),),
    ),
    "envelopes.upsample_frames": (
        lambda x: envelopes.upsample_frames(x, 50, "windows"),
        lambda: (draw(3, 5),),
    ),
    "envelopes.cubic_frames": (lambda x: envelopes.cubic_frames(x, 50), lambda: (draw(3, 6),)),
    "filtered_noise.amp_to_impulse_response": (
        lambda x: filtered_noise.amp_to_impulse_response(x, 16),
        lambda: (draw(3, 9),),
    ),
    "filtered_noise.filter_frames": (filtered_noise.filter_frames, lambda: (draw(3, 16), draw(3, 16))),
    "filtered_noise.overlap_add": (lambda x: filtered_noise.overlap_add(x, 4), lambda: (draw(3, 5, 8),)),
    "filtered_noise.filtered_noise": (
        filtered_noise.filtered_noise,
        lambda: (draw(3, 4, 9), draw(3, 4, 16)),
    ),
    "frame_filter.filter_frame": (frame_filter.filter_frame, lambda: (draw(3, 16), draw(3, 9))),
    "filters.biquad": (filters.biquad, lambda: (draw(3, 50), draw(3, 3), STABLE)),
    "filters.highpass_coefficients": (
        both(lambda f, q: filters.highpass_coefficients(f, q, RATE)),
        lambda: (hz(3), draw(3, low=0.5)),
    ),
    "filters.lowpass_coefficients": (
        both(lambda f, q: filters.lowpass_coefficients(f, q, RATE)),
        lambda: (hz(3), draw(3, low=0.5)),
    ),
    "harmonics.harmonic_bank": (
        lambda *given: harmonics.harmonic_bank(*given, **SIZE),
        lambda: (hz(3, 4), draw(3, 5, 6)),
    ),
    "loudness.a_weight": (lambda x: loudness.a_weight(x, RATE), lambda: (sound(),)),
    "loudness.k_weighted_power": (
        lambda x: loudness.k_weighted_power(x, RATE, **FRAMES),
        lambda: (sound(),),
    ),
    "mdct.mdct": (lambda x: mdct.mdct(x, 8), lambda: (sound(),)),
    "mdct.inverse_mdct": (lambda x: mdct.inverse_mdct(x, 50), lambda: (draw(3, 5, 8),)),
    "mixing.crossfade": (mixing.crossfade, lambda: (sound(), sound(), draw(3))),
    "moments.frame_magnitudes": (
        both(lambda x: moments.frame_magnitudes(x, ("hann", "flat_top"), **FRAMES)),
        lambda: (draw(3, 60),),
    ),
    "moments.centroid_bins": (
        lambda x: moments.centroid_bins(x, compress=True, floor=1e-4),
        lambda: (draw(3, 4, 9),),
    ),
    "moments.spread_bins": (moments.spread_bins, lambda: (draw(3, 4, 9),)),
    "moments.flatness": (moments.flatness, lambda: (draw(3, 4, 9),)),
    "moments.flux": (moments.flux, lambda: (draw(3, 4, 9),)),
    "moments.weigh": (lambda x: moments.weigh(x, True, 1e-4), lambda: (draw(3, 4, 9),)),
    "noise.noise_burst": (
        lambda x: noise.noise_burst(RATE, 0.01, 0.005, batch_size=len(x), uniform=x),
        lambda: (draw(3, 40),),
    ),
    "oscillators.sine": (lambda x: oscillators.sine(x, **SIZE), lambda: (hz(3),)),
    "oscillators.modal_bank": (
        lambda *given: oscillators.modal_bank(*given, num_samples=60),
        lambda: (draw(3, 2, 4), draw(3, 2, 4), draw(3, 2, 1)),
    ),
    "oscillators.quadrature_bank": (
        lambda *given: oscillators.quadrature_bank(*given, num_samples=60),
        lambda: (draw(3, 2, 4), draw(3, 2, 4), draw(3, 2, 4), draw(3, 2, 1)),
    ),
    "oscillators.damped_sines": (
        lambda *given: oscillators.damped_sines(*given, **SIZE),
        lambda: (hz(3, 2), draw(3, 2, low=0.1), draw(3, 2)),
    ),
    "partials.partials_hz": (
        lambda f, b: partials.partials_hz(f, b, 6),
        lambda: (hz(3, 4), draw(3, 4, high=1e-3)),
    ),
    "partials.partial_order": (
        partials.partial_order,
        lambda: (draw(3, 4, 6, low=1.0, high=9.0), draw(3, 4, high=1e-3)),
    ),
    "precision.widen": (precision.widen, lambda: (draw(3),)),
    "real_spectra.real_stft": (lambda x: real_spectra.real_stft(x, **STFT), lambda: (sound(),)),
    "real_spectra.real_istft": (lambda x: real_spectra.real_istft(x, **STFT), lambda: (draw(3, 2, 9, 16),)),
    "real_spectra.real_stft_filter": (
        lambda x, gain: real_spectra.real_stft_filter(x, gain, **STFT, pad_mode="reflect"),
        lambda: (sound(), draw(3, 16, 9)),
    ),
    "resample.kaiser_resample": (lambda x: resample.kaiser_resample(x, 8000, 6000), lambda: (sound(),)),
    "resample.hann_resample": (lambda x: resample.hann_resample(x, 8000, 6000), lambda: (sound(),)),
    "roots.safe_root": (roots.safe_root, lambda: (draw(3, low=0.1),)),
    "short_time.short_time_magnitudes": (
        lambda x: short_time.short_time_magnitudes(x, **STFT, window=torch.hann_window(16).double()),
        lambda: (sound(),),
    ),
    "spectra.stft": (real(spectrum_of), lambda: (sound(),)),
    "spectra.istft_hann": (
        lambda x: spectra.istft_hann(spectrum_of(x).mT, STFT["n_fft"], STFT["hop_length"]),
        lambda: (sound(),),
    ),
    "spectra.power": (lambda x: spectra.power(spectrum_of(x)), lambda: (sound(),)),
    "spectra.magnitude": (lambda x: spectra.magnitude(spectrum_of(x)), lambda: (sound(),)),
    "spectral_distance.spectral_sums": (
        lambda x: torch.stack(
            spectral_distance.spectral_sums(spectrum_of(x), spectrum_of(1 - x).detach()), 1
        ),
        lambda: (sound(),),
    ),
    "spectral_distance.matching_gain": (spectral_distance.matching_gain, lambda: (draw(3), draw(3, low=0.1))),
    "spectral_distance.log_spectral_distance": (
        lambda x, y: spectral_distance.log_spectral_distance(x, y, **STFT),
        lambda: (sound(), sound()),
    ),
    "spectral_transport.spectral_transport": (
        lambda x, y: spectral_transport.spectral_transport(x, y, torch.linspace(0, 1, 9).double()),
        lambda: (draw(3, 9), draw(3, 9)),
    ),
    "splines.spline_upsample": (lambda x: splines.spline_upsample(x, 50), lambda: (draw(3, 6, 2),)),
    "stft_noise.stft_filter": (
        lambda *given: stft_noise.stft_filter(*given, **STFT),
        lambda: (draw(3, 60), draw(3, 11, 5)),
    ),
    "stft_noise.mean_square_of_bands": (stft_noise.mean_square_of_bands, lambda: (draw(3, 9),)),
    "strings.karplus_strong": (
        lambda *given: strings.karplus_strong(*given, 20),
        lambda: (draw(3, 60), draw(3, 60, low=6, high=12), draw(3, 60, 2, high=0.3)),
    ),
    "strings.inverse_karplus_strong": (
        lambda *given: strings.inverse_karplus_strong(*given, 20),
        lambda: (draw(3, 60), draw(3, 60, low=6, high=12), draw(3, 60, 2, high=0.3)),
    ),
    "strings.fractional_delay_taps": (
        lambda *given: strings.fractional_delay_taps(*given, 20)[1],
        lambda: (draw(3, 60, low=6, high=12), draw(3, 60, 2, high=0.3)),
    ),
    "strings.constrain_loop_coefficients": (
        strings.constrain_loop_coefficients,
        lambda: (draw(3, 5, 2), draw(3, 5, 1)),
    ),
    "strings.constrain_excitation_coefficients": (
        strings.constrain_excitation_coefficients,
        lambda: (draw(3, 5, 4),),
    ),
    "strings.share_out": (strings.share_out, lambda: (draw(3, 5, 2, low=0.1), draw(3, 5, 1))),
    "tables.frames_of": (lambda x: tables.frames_of(x, 16, 8), lambda: (sound(),)),
    "transport.wasserstein_1d": (
        transport.wasserstein_1d,
        lambda: (draw(3, 7), draw(3, 5), draw(3, 7) / 7, draw(3, 5) / 5),
    ),
    "transport.quantile_function": (
        lambda at: transport.quantile_function(*(LEVELS.expand(len(at), -1) for _ in "ab"), at),
        lambda: (draw(3, 5),),
    ),
    "units.clip": (lambda x: units.clip(x, 0.2, 0.8), lambda: (draw(3),)),
    "units.hz_to_midi": (units.hz_to_midi, lambda: (hz(3),)),
    "units.midi_to_hz": (units.midi_to_hz, lambda: (hz(3) / 20,)),
    "units.hz_to_rad": (lambda x: units.hz_to_rad(x, RATE), lambda: (hz(3),)),
    "units.rad_to_hz": (lambda x: units.rad_to_hz(x, RATE), lambda: (draw(3),)),
    "units.db_to_gain": (units.db_to_gain, lambda: (draw(3, low=-20, high=3),)),
    "units.gain_to_db": (units.gain_to_db, lambda: (draw(3, low=0.1),)),
    "units.cents_between": (units.cents_between, lambda: (hz(3), hz(3))),
    "windows.take_windows": (lambda x: windows.take_windows(x, [2, 20], 5), lambda: (draw(3, 40),)),
    "windows.place_windows": (lambda x: windows.place_windows(x, [2, 20], 40), lambda: (draw(3, 2, 5),)),
    "windows.keep_windows": (lambda x: windows.keep_windows(x, [2, 20], 5), lambda: (draw(3, 40),)),
    "zero_phase.zero_phase_filter": (zero_phase.zero_phase_filter, lambda: (sound(), draw(3, 4, 9))),
    "zero_phase.zero_phase_kernels": (
        lambda x: zero_phase.zero_phase_kernels(x, 7),
        lambda: (draw(3, 4, 9),),
    ),
    "zero_phase.slope_response": (zero_phase.slope_response, lambda: (draw(3),)),
}
