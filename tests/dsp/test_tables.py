import pytest
import torch

from drumblender.dsp import cepstra, filtered_noise
from drumblender.dsp.resample import windowed_sinc
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# Sizes that nothing else asks for, so that the table is made here.
@pytest.mark.parametrize(
    "make",
    [
        lambda: hann_window(331),
        lambda: cepstra.mel_bands(331, 0.0, 20, 16000),
        lambda: cepstra._cosines(5, 21),
    ],
)
def test_a_table_of_float32_is_so_whatever_torch_takes_by_default(float64_by_default, make):
    assert make().dtype == torch.float32


def test_the_weights_of_torchaudio_are_rounded_whatever_torch_takes_by_default(float64_by_default):
    wide = windowed_sinc(44100, 48000, 7, 0.99).rows
    torch.set_default_dtype(torch.float32)
    shifted = windowed_sinc(2 * 44100, 2 * 48000, 7, 0.99)  # the same, made anew
    assert torch.equal(wide, shifted.rows)


def test_a_table_of_float64_has_its_precision():
    cosines = filtered_noise._cosines(19)
    assert torch.allclose(cosines, torch.fft.irfft(torch.eye(19, dtype=torch.float64)), rtol=0, atol=1e-15)


def test_a_copy_is_kept_while_the_table_lives():
    like = torch.zeros(1, dtype=torch.float64)
    assert placed(hann_window(16), like) is placed(hann_window(16), like)
