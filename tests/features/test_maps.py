import pytest
import torch

from drumblender.features import CQT, STFT, Mel


@pytest.mark.parametrize(
    "name", ["stft_01_hann_1024", "stft_02_flattop_2048", "stft_03_flattop_512_odd", "stft_04_log_reduce"]
)
def test_stft_is_the_published_one(golden, name):
    case = golden("pitch", name)
    stft = STFT(**case.config["init"], **case.config.get("call", {}), frames="padded")
    audio = case["in_audio"].requires_grad_()
    spectrum = stft(audio).reshape(case["out_spectrum"].shape)
    case.check("out_spectrum", spectrum)
    case.check("out_frequencies", stft.freqs_hz)
    spectrum.backward(case["cot_spectrum"])
    case.check("grad_audio", audio.grad)


@pytest.mark.parametrize(
    "name", ["cqt_01_published", "cqt_02_small_log", "cqt_03_reduce_nbins", "cqt_04_reflect_norestore"]
)
def test_cqt_is_the_published_one(golden, name):
    case = golden("pitch", name)
    init = {key: value for key, value in case.config["init"].items() if key != "center"}
    transform = CQT(**init, reduce=case.config.get("call", {}).get("reduce", False))
    spectrum = transform(case["in_audio"]).reshape(case["out_spectrum"].shape)
    case.check("out_spectrum", spectrum)
    case.check("out_frequencies", transform.freqs_hz)


def test_a_sine_lights_the_band_it_lies_in():
    audio = torch.sin(torch.arange(4096) * (2 * torch.pi * 1000 / 16000))[None]
    for transform, width_hz in ((STFT(2048), 10), (Mel(64), 60), (CQT(), 40)):
        loudest = transform(audio).mean(dim=1).argmax()
        assert abs(transform.freqs_hz[loudest].item() - 1000) < width_hz


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: STFT(window="hamburger"), "hamburger"),
        (lambda: STFT(n_fft=0), "n_fft=0"),
        (lambda: STFT(frames="some"), "'some'"),
        (lambda: CQT(fmin=9000), "fmin=9000"),
        (lambda: Mel(0), "num_mels=0"),
    ],
)
def test_rejects(unchecked, make, message):
    with pytest.raises(ValueError, match=message):
        make()
