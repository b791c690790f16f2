import pytest
import torch

from drumblender.dsp.cepstra import mel_cepstrum

SETTINGS = {"sample_rate": 16000, "num_coefficients": 13, "n_fft": 512, "hop_length": 128}


@pytest.mark.parametrize("rate", [16000, 11025])  # whose half is no whole number
def test_equals_torchaudio(generator, rate):
    from torchaudio.transforms import MFCC

    audio = torch.randn(1, 4000, generator=generator)
    mfcc = MFCC(rate, 13, melkwargs={"n_fft": 512, "hop_length": 128, "n_mels": 64, "f_min": 20.0})
    ours = mel_cepstrum(audio, **SETTINGS | {"sample_rate": rate}, num_mels=64, low_hz=20.0)
    assert torch.allclose(ours, mfcc(audio).transpose(1, 2), atol=1e-3)


def test_the_first_coefficient_follows_the_level(generator):
    audio = torch.randn(1, 4000, generator=generator)
    rise = mel_cepstrum(10 * audio, **SETTINGS) - mel_cepstrum(audio, **SETTINGS)
    assert torch.allclose(rise[..., 0], torch.tensor(20 * 128**0.5), rtol=1e-4)  # 20 dB in all 128 bands
    assert rise[..., 1:].abs().max() < 1e-3


def test_silence_has_a_finite_gradient():
    audio = torch.zeros(1, 2000, requires_grad=True)
    mel_cepstrum(audio, **SETTINGS).sum().backward()
    assert audio.grad.isfinite().all()


def test_settings_that_make_no_sense_are_refused(unchecked):
    with pytest.raises(ValueError, match="129"):
        mel_cepstrum(torch.zeros(1, 2000), **SETTINGS | {"num_coefficients": 129})
    with pytest.raises(ValueError, match="'both'"):
        mel_cepstrum(torch.zeros(1, 2000), **SETTINGS, loudest="both")
