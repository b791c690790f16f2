"""What ONNX is given instead of complex spectra."""

import pytest
import torch

from drumblender.dsp.real_spectra import real_istft, real_stft, real_stft_filter

SIZES = pytest.mark.parametrize("n_fft, hop_length", [(256, 64), (256, 100), (101, 50)])


def noise(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def complex_stft(audio, n_fft, hop_length, pad_mode="reflect"):
    window = torch.hann_window(n_fft, dtype=audio.dtype)
    return torch.stft(audio, n_fft, hop_length, window=window, pad_mode=pad_mode, return_complex=True)


@SIZES
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_there_is_the_transform_of_torch_in_two_parts(n_fft, hop_length, pad_mode, generator):
    audio = noise(generator, 2, 1000)
    expected = complex_stft(audio, n_fft, hop_length, pad_mode)
    found = real_stft(audio, n_fft, hop_length, pad_mode=pad_mode)
    assert torch.allclose(torch.complex(found[:, 0], found[:, 1]), expected, atol=1e-10)


@SIZES
@pytest.mark.parametrize("num_samples", [None, 930])
def test_back_is_that_of_torch_for_any_spectrum(n_fft, hop_length, num_samples, generator):
    parts = noise(generator, 2, 2, n_fft // 2 + 1, 20)  # of no sound: frames contradict each other
    expected = torch.istft(
        torch.complex(parts[:, 0], parts[:, 1]),
        n_fft,
        hop_length,
        window=torch.hann_window(n_fft, dtype=parts.dtype),
        length=num_samples,
    )
    found = real_istft(parts, n_fft, hop_length, num_samples=num_samples)
    assert torch.allclose(found, expected, atol=1e-10)


def test_a_gain_acts_on_its_own_bin_and_frame(generator):
    audio, gain = noise(generator, 2, 1000), noise(generator, 2, 16, 129)
    window = torch.hann_window(256, dtype=audio.dtype)
    spectrum = complex_stft(audio, 256, 64, "constant") * gain.mT
    expected = torch.istft(spectrum, 256, 64, window=window, length=1000)
    found = real_stft_filter(audio, gain, 256, 64, pad_mode="constant", num_samples=1000)
    assert torch.allclose(found, expected, atol=1e-10)
