"""What ships is weights and configuration alone, and sounds as the run did."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import drumblender as db
from drumblender.checkpoint_file import read_checkpoint, save_checkpoint
from drumblender.checkpoints import build, load_checkpoint, read_whole
from drumblender.run_files import WholeCheckpoints
from drumblender.shipped import Shipped, read_index
from experiments.ship import About, figures, portable, read_about, ship, stripped, write_card, write_row

NOISE = "voices.drum.synth.noise"
LOUDNESS = {
    "class_path": "drumblender.features.CascadingFrameExtractor",
    "init_args": {
        "extractors": [{"class_path": "drumblender.features.Loudness", "init_args": {"sample_rate": 44100}}],
        "num_frames": [4],
        "frame_size": 1024,
        "hop_length": 256,
    },
}
MAPPER = {"class_path": "drumblender.controllers.LinearMapping", "init_args": {"in_size": 1, "out_size": 14}}
CONFIG = {
    "model": {
        "class_path": "drumblender.tasks.RemapTask",
        "init_args": {
            "controls": {
                "class_path": "drumblender.controllers.MappedControls",
                "init_args": {"mapper": MAPPER},
            },
            "synth": {
                "class_path": "drumblender.synths.Snare808",
                "init_args": {"sample_rate": 44100, "noise_samples": 8192},
            },
            "features": LOUDNESS,
            "sample_rate": 44100,
        },
    },
    "data": {
        "class_path": "drumblender.data.RemapDataModule",
        "init_args": {"path": "/home/me/hits", "features": LOUDNESS, "onset_features": LOUDNESS},
    },
    "seed_everything": 7,
}


@pytest.fixture
def finished():
    """What a run with seed 7 has saved."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        task, _ = build({name: CONFIG[name] for name in ("model", "data")})
    return {
        "epoch": 1,
        "global_step": 3,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": task.state_dict(),
        "optimizer_states": [{}],
        "callbacks": {},
        "drumblender": {"version": db.__version__, "sample_rate": 44100, "config": copy.deepcopy(CONFIG)},
    }


def test_what_the_seed_draws_again_stays_out_and_comes_back(finished, tmp_path):
    small = stripped(finished, "run.ckpt")
    assert NOISE not in small["state_dict"] and small["drumblender"]["redrawn"]["names"] == [NOISE]
    assert not {"optimizer_states", "callbacks"} & small.keys()
    save_checkpoint(small, tmp_path / "small.ckpt")
    assert (tmp_path / "small.ckpt").stat().st_size < 20_000
    torch.manual_seed(1)  # whatever is drawn elsewhere
    loaded = load_checkpoint(tmp_path / "small.ckpt").task.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in finished["state_dict"].items())
    lightning = WholeCheckpoints().load_checkpoint(tmp_path / "small.ckpt")
    assert torch.equal(lightning["state_dict"][NOISE], finished["state_dict"][NOISE])


def test_a_buffer_that_another_seed_drew_travels(finished):
    finished["state_dict"][NOISE] = finished["state_dict"][NOISE].flip(1)
    small = stripped(finished, "run.ckpt")
    assert torch.equal(small["state_dict"][NOISE], finished["state_dict"][NOISE])
    assert "redrawn" not in small["drumblender"]


def test_places_on_the_machine_that_trained_stay_out(finished):
    assert (
        stripped(finished, "run.ckpt")["drumblender"]["config"]["data"]["init_args"]["path"] == "dataset/hits"
    )
    assert portable({"a": ["/x/y", "z", 3]}) == {"a": ["dataset/y", "z", 3]}


@pytest.mark.parametrize(
    "left_out, told",
    [
        (3, "no seed and names"),
        ({"seed": "7", "names": [NOISE]}, "no seed and names"),
        ({"seed": -1, "names": [NOISE]}, "no seed and names"),
        ({"seed": 7, "names": ["voices.drum.controls.mapper.net.weight"]}, "which is no buffer of its task"),
        ({"seed": 7, "names": [["x"]]}, "which is no buffer of its task"),
    ],
)
def test_a_file_that_leaves_out_what_cannot_be_drawn_is_refused(finished, tmp_path, left_out, told):
    finished["drumblender"]["redrawn"] = left_out
    torch.save(finished, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=told):
        read_whole(tmp_path / "odd.ckpt")
    assert read_checkpoint(tmp_path / "odd.ckpt")["epoch"] == 1


def test_a_model_that_a_baseline_beats_is_refused(tmp_path):
    (tmp_path / "baselines.csv").write_text("kind,mrstft,lsd_db\nmodel,1.5,6\nsilence,4,20\ntable,1.6,5\n")
    assert figures(tmp_path)["table"] == {"mrstft": 1.6, "lsd_db": 5.0}
    (tmp_path / "baselines.csv").write_text("kind,mrstft\nmodel,1.5\nsilence,4\ntable,1.5\n")
    with pytest.raises(ValueError, match="does not beat table in mrstft: it is not shipped"):
        figures(tmp_path)
    with pytest.raises(FileNotFoundError, match="drumblender test CKPT writes it"):
        figures(tmp_path / "other")


ABOUT = About(
    system="drums",
    data="Two kits",
    credit="By them, CC0.",
    licence="Apache-2.0",
    command="drumblender fit",
    hardware="A core",
    seconds=120,
    about="Plays.",
    left_out="Five.",
    bad_at="Bells.",
)


def row(name):
    trained = {"command": "fit", "hardware": "a core", "seconds": 3, "seed": 7}
    figures = {"metrics": {"mrstft": 1.5}, "baselines": {"silence": {"mrstft": 4.0}}}
    return Shipped(name, "drums", "a.ckpt", "a" * 64, 9, "kits", "Apache-2.0", trained, **figures)


def test_rows_are_replaced_by_name_and_the_comment_stays(tmp_path):
    index = tmp_path / "index.yaml"
    index.write_text("# What ships.\n{}\n")
    for name in ("b", "a", "b"):
        write_row(row(name), index)
    assert index.read_text().startswith("# What ships.\n") and list(read_index(index)) == ["a", "b"]
    assert read_index(index)["a"] == row("a")


def test_the_card_tells_figures_beside_baselines_and_limits(tmp_path):
    write_card(row("kit"), ABOUT, "synth checkpoints/kit in.wav out.wav", tmp_path / "kit.md")
    card = (tmp_path / "kit.md").read_text()
    assert "drumblender synth checkpoints/kit in.wav out.wav" in card and "2 minutes, seed 7" in card
    assert (
        "| **this checkpoint** | 1.5 |\n| silence | 4 |" in card and "## What it is bad at\n\nBells." in card
    )


def test_names_of_sounds_that_a_comma_has_split_are_told(tmp_path):
    about = replace(ABOUT, heard=["a guitar (CC0", "sung)"])
    with pytest.raises(ValueError, match="names 2 sounds, and 1 recordings are heard"):
        ship(tmp_path / "best.ckpt", "one", about, tmp_path, [tmp_path / "guitar.wav"])


def test_what_the_card_lacks_is_told(tmp_path):
    (tmp_path / "about.yaml").write_text("system: drums\n")
    with pytest.raises(ValueError, match="missing 9 required positional arguments.*'data'"):
        read_about(Path(tmp_path / "about.yaml"))
