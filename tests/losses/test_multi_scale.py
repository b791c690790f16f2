import pytest
import torch

from drumblender.losses import MultiScaleSpectralLoss


@pytest.mark.parametrize("name", ["mss_01_lin", "mss_02_loglin", "mss_03_l2_one_scale_odd_length"])
def test_padded_frames_give_the_published_numbers(golden, name):
    case = golden("pitch", name)
    loss = MultiScaleSpectralLoss(**case.config["init"], frames="padded")
    prediction = case["in_audio"].requires_grad_()
    value = loss(prediction, case["in_target_audio"])
    value.backward(torch.as_tensor(case["cot_loss"]))
    case.check("out_loss", value)
    case.check("grad_audio", prediction.grad)


def test_each_item_alone_has_the_published_number(golden):
    case = golden("pitch", "mss_04_dims")  # the mean over frames and bins only
    loss = MultiScaleSpectralLoss(**case.config["init"], frames="padded")
    prediction, target = case["in_audio"].requires_grad_(), case["in_target_audio"]
    values = torch.stack([loss(*pair) for pair in zip(prediction.split(1), target.split(1), strict=True)])
    values.backward(case["cot_loss"])
    case.check("out_loss", values)
    case.check("grad_audio", prediction.grad)


def test_equal_sounds_differ_by_nothing_and_silence_is_finite(generator):
    sound = torch.rand(2, 4096, generator=generator)
    loss = MultiScaleSpectralLoss(logmag_weight=1.0)
    assert loss(sound, sound) == 0
    silence = torch.zeros(2, 4096, requires_grad=True)
    value = loss(silence, sound)
    value.backward()
    assert value.isfinite() and silence.grad.isfinite().all()


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"fft_sizes": []}, "frame sizes"),
        ({"loss_type": "L3"}, "'L3'"),
        ({"frames": "cut"}, "'cut'"),
        ({"mag_weight": 0.0}, "nothing would be compared"),
    ],
)
def test_rejects(unchecked, init, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleSpectralLoss(**init)
