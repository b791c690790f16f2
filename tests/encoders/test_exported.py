"""Encoders that leave Python hear what they hear in it."""

import pytest
import torch
from exported import FORMS, run_exported
from references import reference

from drumblender.encoders import (
    MFCCEncoder,
    NoteEncoder,
    SoundStreamAttentionEncoder,
    SoundStreamEncoder,
)

SAMPLES, FRAMES = 4000, 17


@pytest.fixture(params=["soundstream", "attention", "film", "mfcc", "note"])
def case(request, generator):
    torch.manual_seed(0)

    def draw():
        audio = torch.rand(2, SAMPLES, generator=generator) - 0.5
        if request.param == "film":
            return audio, torch.randn(2, 6, generator=generator)
        if request.param == "note":
            f0_hz = 100 + 300 * torch.rand(2, FRAMES, generator=generator)
            return audio, f0_hz, -60 * torch.rand(2, FRAMES, generator=generator)
        return (audio,)

    mfcc = MFCCEncoder(rnn_channels=8, z_dims=4, z_time_steps=1000)
    encoder = {
        "soundstream": SoundStreamEncoder(4, 8),
        "attention": SoundStreamAttentionEncoder(4, 8, causal=True),
        "film": SoundStreamEncoder(4, 8, film_conditioning=True, film_embedding_size=6),
        "mfcc": mfcc,
        "note": NoteEncoder(hidden_size=8, z_encoder=mfcc, pitch_unit="midi"),
    }[request.param]
    return encoder, draw(), draw()


@pytest.mark.usefixtures("unchecked")  # to a tracer a size is a tensor
@pytest.mark.parametrize("form", FORMS)
def test_equals_eager_on_other_sound_than_it_was_exported_with(form, case):
    reference("onnxruntime")
    encoder, example, other = case
    with torch.no_grad():
        expected = encoder.eval()(*other)
        assert (encoder(*example) - expected).abs().max() > 1e-3
    assert (run_exported(form, encoder, example, other) - expected).abs().max() < 1e-5
