import math

import pytest
import torch

from drumblender.data import SyntheticStringsDataModule
from drumblender.data.string_draws import draw_uniforms, random_strings
from drumblender.synths import StringSynth


def synth(**settings):
    return StringSynth(**{"internal_rate": 4100, "min_f0_hz": 72.41, "excitation": "source"} | settings)


def module(**settings):
    small = {"batch_size": 2, "batches_per_epoch": 2, "val_items": 3, "duration_s": 0.5}
    return SyntheticStringsDataModule(synth(), **small | settings)


def test_strings_are_stable_and_their_coefficients_are_known(generator):
    batch = random_strings(synth(), 4, generator=generator, duration_s=1.0, note_off_s=0.75)
    assert batch["audio"].shape == (4, 16000) and batch["audio"].isfinite().all()
    gain = batch["loop_coefficients"].sum(dim=-1)
    assert ((gain > 0.99) & (gain < 1)).all()
    assert (batch["f0_hz"] >= 82.4).all() and (batch["f0_hz"] <= 1318.6).all()
    assert batch["f0_hz"].shape == batch["loudness_db"].shape == (4, 62)


def test_the_lowest_and_highest_draw_are_e2_and_e6(generator):
    draws = draw_uniforms(2, 2, 5, 400, generator)
    draws["pitch"] = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    pitch = random_strings(synth(), uniforms=draws)["f0_hz"][:, 0]
    assert pitch.tolist() == pytest.approx([82.4069, 1318.5102], rel=1e-5)


def test_an_item_does_not_depend_on_the_others(generator):
    draws = draw_uniforms(3, 2, 5, 400, generator)
    together = random_strings(synth(), uniforms=draws)
    alone = random_strings(synth(), uniforms={name: value[1:2] for name, value in draws.items()})
    assert torch.equal(together["audio"][1:2], alone["audio"])


def test_every_epoch_brings_new_strings_and_a_resumed_one_the_same():
    def epoch(number):
        loader = module().train_dataloader()
        loader.sampler.set_epoch(number)
        return torch.cat([batch["audio"] for batch in loader])

    assert epoch(0).shape == (4, 8000)
    assert not torch.equal(epoch(0), epoch(1))
    assert torch.equal(epoch(1), epoch(1))


def test_validation_is_the_same_each_time_and_has_every_item():
    first, second = (list(module().val_dataloader()) for _ in range(2))
    assert [len(batch["audio"]) for batch in first] == [2, 1]
    assert all(torch.equal(a["audio"], b["audio"]) for a, b in zip(first, second, strict=True))
    tested = next(iter(module().test_dataloader()))
    assert not torch.equal(first[0]["audio"], tested["audio"])
    assert first[0]["name"] == ["val-00000", "val-00001"]


def test_bursts_are_normalised_alone_or_as_published_over_the_batch():
    alone, together = (
        next(iter(module(per_item=per_item).val_dataloader()))["audio"] for per_item in (True, False)
    )
    assert not torch.allclose(alone, together)
    same = SyntheticStringsDataModule(synth(), batch_size=2, val_items=3, duration_s=0.5)
    assert torch.equal(next(iter(same.val_dataloader()))["audio"], alone)


def test_networks_see_the_natural_logarithm():
    mean_db, std_db = module().loudness_statistics()
    assert mean_db == 0 and std_db == pytest.approx(10 / math.log(10))


def test_a_synth_without_excitation_is_refused():
    with pytest.raises(ValueError, match="'burst'"):
        random_strings(synth(excitation="burst"), 1)
    with pytest.raises(ValueError, match="'burst'"):
        SyntheticStringsDataModule(synth(excitation="burst"))


@pytest.mark.parametrize("name", ["synthetic_a", "synthetic_published"])
def test_golden_strings(name, golden):
    numbers = golden("strings", name)
    given, call = numbers.config["init"], numbers.config["call"]
    rendered = synth(internal_rate=given["internal_sr"], min_f0_hz=given["min_f0_hz"])
    draws = {key.removeprefix("in_u_"): value for key, value in numbers.items() if key.startswith("in_u_")}
    batch = random_strings(rendered, uniforms=draws, per_item=False, duration_s=call["duration_s"])
    numbers.check("out_pitch_hz", batch["f0_hz"][:, 0])
    numbers.check("out_loop", batch["loop_coefficients"])
    numbers.check("out_exc", batch["excitation_coefficients"])
    numbers.check("out_audio_decimated16", batch["audio"][:, ::16])
    nepers = batch["loudness_db"] * math.log(10) / 10
    numbers.check("out_loudness", nepers)
