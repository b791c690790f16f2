import math

import pytest
import torch

from drumblender.dsp.spectra import hann_window, magnitude, stft, stft_plain

RATE = 16000


@pytest.mark.parametrize(
    "n_fft, hop, length", [(512, 50, 240), (400, 100, 251), (401, 77, 300), (403, 50, 403)]
)
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_compiled_frames_and_their_adjoint_equal_torch_stft(n_fft, hop, length, pad_mode, generator):
    audio = torch.randn(2, 1501, generator=generator).requires_grad_()
    window = hann_window(length)
    fused = stft(audio, n_fft, hop, window, pad_mode=pad_mode)
    plain = stft_plain(audio, n_fft, hop, window, pad_mode)
    weight = torch.randn(fused.shape, dtype=fused.dtype, generator=generator)
    grads = [torch.autograd.grad((weight * s).real.sum(), audio)[0] for s in (fused, plain)]
    assert torch.allclose(fused, plain, atol=1e-5)
    assert torch.allclose(*grads, atol=1e-5 * grads[1].abs().max().item())


def test_threads_share_the_frames_and_change_nothing(generator):
    audio = torch.randn(3, 3000, generator=generator).requires_grad_()
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            spectrum = stft(audio, 256, 32)
            results.append((spectrum, *torch.autograd.grad(spectrum.abs().sum(), audio)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.allclose(one, three, atol=1e-5) for one, three in zip(*results, strict=True))


def test_frames_cut_in_many_chunks_equal_torch_stft(generator):
    audio = torch.randn(3, 5000, generator=generator)
    window = hann_window(4096)
    assert torch.allclose(stft(audio, 4096, 16), stft_plain(audio, 4096, 16, window), atol=1e-4)


def test_a_sine_peaks_in_its_bin():
    sine = torch.sin(2 * math.pi * 1000 * torch.arange(RATE) / RATE)[None]
    spectrum = magnitude(stft(sine, 512, 128))
    assert spectrum[0, 10].argmax() == 1000 * 512 // RATE
    assert spectrum[0, 10].max() == pytest.approx(512 / 4, rel=1e-3)  # half the window's sum


def test_half_precision_is_computed_in_float32(generator):
    audio = torch.randn(1, 2000, generator=generator).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrum = stft(audio, 256, 64)
    assert torch.equal(spectrum, stft(audio.float(), 256, 64))


def test_the_magnitude_of_silence_has_gradient_zero():
    spectrum = torch.zeros(1, 2, 3, dtype=torch.complex64, requires_grad=True)
    magnitude(spectrum).sum().backward()
    assert torch.equal(spectrum.grad, torch.zeros_like(spectrum))


@pytest.mark.parametrize(
    "samples, n_fft, hop, window, message",
    [
        (100, 256, 64, None, "100 samples"),
        (1000, 256, 0, None, "hop_length=0"),
        (1000, 256, 64, torch.ones(300), "300 samples"),
        (0, 256, 64, None, "0 samples"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(samples, n_fft, hop, window, message):
    with pytest.raises(ValueError, match=message):
        stft(torch.zeros(1, samples), n_fft, hop, window)


def test_no_sounds_are_refused(unchecked):
    with pytest.raises(ValueError, match="0 sounds of 1000 samples"):
        stft(torch.zeros(0, 1000), 256, 64)


def test_a_window_that_changes_is_heard_anew(generator):
    audio, window = torch.randn(1, 256, generator=generator), torch.hann_window(64, dtype=torch.float64)
    before = stft(audio, 64, 16, window)
    window.mul_(2)
    assert torch.equal(stft(audio, 64, 16, window), 2 * before)


def test_the_window_is_float32_whatever_torch_takes_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        window = hann_window(331)  # of a length that nothing else asked for
    finally:
        torch.set_default_dtype(torch.float32)
    assert window.dtype == torch.float32
