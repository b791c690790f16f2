"""Each of the five original code bases is known by its weights, and what they do not tell is asked for."""

import logging

import pytest
import torch

from drumblender.cli import run
from drumblender.originals.command import IMPORTERS, convert, left_out

STATES = {
    "drums": {"noise_autoencoder.layer.weight": torch.ones(1)},
    "guitar": {"gru.weight_hh_l0": torch.ones(3, 1), "mlp.weight": torch.ones(9, 1)},
    "remap": {
        "preset": torch.ones(1, 14),
        "reference": torch.ones(1, 7),
        "model.net.weight": torch.ones(14, 3),
        "synth.noise.noise": torch.zeros(1, 3000),
    },
    "strings": {"loop_coeff_proj.weight": torch.ones(3, 1), "decoder.loop_gain": torch.ones(1)},
    "pitch": {"encoder.linear.frequency.0.weight": torch.ones(1)},
}


@pytest.mark.parametrize("system", STATES)
def test_one_importer_knows_the_weights_alone(system):
    checkpoint = {"state_dict": STATES[system]}
    if system in ("guitar", "strings"):  # these save no Lightning checkpoint
        checkpoint = {"model_state_dict": STATES[system]}
    known = [importer for importer in IMPORTERS if importer.recognises(None, checkpoint)]
    assert [importer.__name__.rpartition(".")[2] for importer in known] == [system]


@pytest.mark.parametrize(
    "system, told",
    [
        ("drums", "original drums.*give its configuration"),
        ("guitar", "9 outputs are of no published size"),
        ("remap", "3000 samples of noise, where a published hit has 35328.*give its configuration"),
        ("pitch", "has lost its settings.*give its configuration"),
    ],
)
def test_what_the_weights_do_not_tell_is_asked_for(system, told):
    with pytest.raises(ValueError, match=told):
        convert(None, {"model_state_dict" if system == "guitar" else "state_dict": STATES[system]})


def test_what_only_the_training_needs_is_told():
    assert left_out({"state_dict": {}, "optimizer_states": [], "loops": {}, "epoch": 1}) == [
        "loops",
        "optimizer_states",
    ]
    assert left_out({"gru.weight": torch.ones(1)}) == []


def test_the_command_says_what_it_leaves_out(tmp_path, caplog):
    state = {"mlp.weight": torch.ones(166, 6), "mlp.bias": torch.ones(166)}
    state |= {"gru.weight_ih_l0": torch.ones(18, 2), "gru.weight_hh_l0": torch.ones(18, 6)}
    state |= {f"gru.bias_{side}_l0": torch.ones(18) for side in ("ih", "hh")}
    torch.save({"model_state_dict": state, "optimizer_state_dict": {}, "epoch": 2}, tmp_path / "old.pth")
    with caplog.at_level(logging.INFO, "drumblender"):
        assert run(["import", str(tmp_path / "old.pth"), str(tmp_path / "new.ckpt")]) == 0
    assert "left out: optimizer_state_dict" in caplog.text
