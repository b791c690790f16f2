"""Encoders that leave Python hear what they hear in it."""

import pytest
import torch
from exported import FORMS, run_exported
from references import reference

from drumblender import encoders
from drumblender.encoders import (
    BandEncoder,
    ControlEncoder,
    ControlGRU,
    ControlTransformer,
    Encoder,
    MFCCEncoder,
    NoteEncoder,
    PitchCNN,
    SoundStreamAttentionEncoder,
    SoundStreamEncoder,
)

SAMPLES, FRAMES = 4000, 17


def mfcc():
    return MFCCEncoder(rnn_channels=8, z_dims=4, z_time_steps=1000)


ENCODERS = {
    "soundstream": lambda: SoundStreamEncoder(4, 8),
    "attention": lambda: SoundStreamAttentionEncoder(4, 8, causal=True),
    "film": lambda: SoundStreamEncoder(4, 8, film_conditioning=True, film_embedding_size=6),
    "mfcc": mfcc,
    "note": lambda: NoteEncoder(hidden_size=8, z_encoder=mfcc(), pitch_unit="midi"),
    "bands": lambda: BandEncoder(num_levels=9, hidden_channels=8),
    "gru": lambda: ControlGRU(8),
    "transformer": lambda: ControlTransformer(8, num_heads=2, context_frames=5),
    "pitch": lambda: PitchCNN(channels=(4, 3, 3, 2, 1)),
}


@pytest.fixture(params=ENCODERS)
def case(request, generator):
    torch.manual_seed(0)

    def draw():
        audio = torch.rand(2, SAMPLES, generator=generator) - 0.5
        curves = (
            100 + 300 * torch.rand(2, FRAMES, generator=generator),
            -60 * torch.rand(2, FRAMES, generator=generator),
        )
        given = {
            "film": (audio, torch.randn(2, 6, generator=generator)),
            "note": (audio, *curves),
            "bands": (-60 * torch.rand(2, FRAMES, 9, generator=generator),),
            "gru": curves,
            "transformer": curves,
        }
        return given.get(request.param, (audio,))

    return ENCODERS[request.param](), draw(), draw()


def test_no_encoder_is_left_out():
    public = {getattr(encoders, name) for name in encoders.__all__} - {Encoder, ControlEncoder}
    assert public == {type(make()) for make in ENCODERS.values()}


@pytest.mark.usefixtures("unchecked")  # to a tracer a size is a tensor
@pytest.mark.parametrize("form", FORMS)
def test_equals_eager_on_other_sound_than_it_was_exported_with(form, case):
    reference("onnxruntime")
    encoder, example, other = case
    with torch.no_grad():
        expected = encoder.eval()(*other)
        assert (encoder(*example) - expected).abs().max() > 1e-3
    assert (run_exported(form, encoder, example, other) - expected).abs().max() < 1e-5
