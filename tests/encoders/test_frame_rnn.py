import pytest
import torch

from drumblender.dsp.cepstra import _cosines, mel_bands
from drumblender.encoders import MFCCEncoder, NoteEncoder


def small(**settings):
    return NoteEncoder(8, MFCCEncoder(rnn_channels=6, z_dims=4), **settings)


def note(generator, batch=2, frames=12):
    audio = torch.randn(batch, 3200, generator=generator)
    return audio, torch.full((batch, frames), 220.0), torch.linspace(-20, -60, frames).expand(batch, -1)


def test_has_the_published_number_of_weights_when_its_inputs_share_a_network():
    encoder = NoteEncoder(shared_inputs=True)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in encoder.named_children()}
    assert count["z_encoder"] == 843_792
    assert count["pitch_net"] == 529_408 and encoder.loudness_net is encoder.pitch_net
    assert count["gru"] == 2_362_368 and count["out_mlp"] == 800_256


def test_pitch_and_loudness_have_their_own_networks(generator):
    encoder = small()
    assert encoder.loudness_net is not encoder.pitch_net
    assert not torch.equal(encoder.loudness_net[0].weight, encoder.pitch_net[0].weight)


def test_gives_a_frame_for_every_frame_of_pitch(generator):
    assert small()(*note(generator)).shape == (2, 12, 8)


def test_what_an_item_gives_does_not_depend_on_the_others(generator):
    audio, pitch, loudness = note(generator)
    audio[1] *= 1000
    encoder = small()
    together, alone = encoder(audio, pitch, loudness), encoder(audio[:1], pitch[:1], loudness[:1])
    assert torch.allclose(together[:1], alone, atol=1e-6)


def test_loudness_is_heard_after_normalisation(generator):
    audio, pitch, loudness = note(generator)
    plain, scaled = small(), small()
    scaled.load_state_dict(plain.state_dict())
    scaled.set_loudness_statistics(-40.0, 10.0)
    assert torch.allclose(
        scaled(audio, pitch, loudness), plain(audio, pitch, (loudness + 40) / 10), atol=1e-6
    )
    assert scaled.state_dict()["loudness_mean_db"] == -40


@pytest.mark.parametrize("steps, frames", [(63, 4), (125, 7), (250, 13), (500, 26), (1000, 51)])
def test_the_time_steps_set_the_hop(steps, frames, generator):
    audio = torch.randn(1, 3200, generator=generator)
    assert MFCCEncoder(rnn_channels=4, z_dims=2, z_time_steps=steps)(audio).shape == (1, frames, 2)


def test_wrong_calls_are_refused(generator):
    audio, pitch, loudness = note(generator)
    with pytest.raises(ValueError, match="equal frames"):
        small()(audio, pitch[:, 1:], loudness)
    with pytest.raises(ValueError, match="never changes"):
        small().set_loudness_statistics(-40.0, 0.0)
    with pytest.raises(ValueError, match="z_time_steps"):
        MFCCEncoder(z_time_steps=200)


@pytest.mark.parametrize("steps", [63, 250, 1000])
def test_golden_mfcc_encoder(steps, golden):
    numbers = golden("strings", f"mfcc_encoder_{steps}")
    given = {name.removeprefix("sd_"): value for name, value in numbers.items() if name.startswith("sd_")}
    weights = {name: value for name, value in given.items() if not name.startswith("mfcc_transform")}
    for whole_batch, name in ((True, "out_z"), (False, "out_z_single")):
        encoder = MFCCEncoder(**numbers.config["init"], batch_top_db=whole_batch)
        encoder.load_state_dict(weights)
        z = encoder(numbers["in_audio"], **numbers.config["call"])
        numbers.check(name, z)
        if whole_batch:
            numbers.check("out_z_native", encoder(numbers["in_audio"]))
    if steps == 250:
        numbers.check("sd_mfcc_transform.MelSpectrogram.mel_scale.fb", mel_bands(513, 20.0, 128, 16000))
        numbers.check("sd_mfcc_transform.dct_mat", _cosines(30, 128))
