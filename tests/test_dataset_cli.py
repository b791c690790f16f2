import subprocess
import sys

import numpy as np
import pytest
import soundfile

from drumblender.dataset_cli import _load, main
from drumblender.shipped import shipped_dir

ANALYSIS = [
    "--data.analysis.sample_rate=16000",
    "--data.analysis.n_bins=60",
    "--data.analysis.bins_per_octave=12",
]
SMALL = [*ANALYSIS, "--data.analysis.fmin=80", "--data.sample_rate=16000", "--data.num_samples=8000"]


@pytest.fixture
def raw(tmp_path, monkeypatch):
    time = np.arange(8000) / 16000
    (tmp_path / "raw/acoustic/tom").mkdir(parents=True)
    for number in range(4):
        sound = 0.3 * np.exp(-4 * time) * np.sin(2 * np.pi * (200 + 50 * number) * time)
        soundfile.write(tmp_path / f"raw/acoustic/tom/{number}.wav", sound, 16000)
    soundfile.write(tmp_path / "raw/acoustic/tom/silent.wav", 0 * time, 16000)
    monkeypatch.chdir(tmp_path)  # where no cfg/ is
    return tmp_path / "raw"


def run(*args):
    return main(
        ["cfg/data/folder.yaml", *SMALL, "--data.raw_dir", "raw", "--data.data_dir", "set", "--jobs=1", *args]
    )


def test_prepares_verifies_and_packs_a_folder(raw, capsys):
    assert run("--preprocess") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "4 files kept, 1 rejected" in last and "files/s" in last
    assert run("--features", "--verify", "--archive", "set.tar.gz") == 0
    assert "every file is as it was prepared" in capsys.readouterr().out
    (raw.parent / "share").mkdir()
    (raw.parent / "set.tar.gz").rename("share/set.tar.gz")
    fetched = ["--data.remote.url", "share", "--data.remote.archive=set.tar.gz", "--data.data_dir", "fetched"]
    assert main(["cfg/data/folder.yaml", *SMALL, *fetched, "--verify"]) == 1  # verify alone fetches nothing
    assert main(["cfg/data/folder.yaml", *SMALL, *fetched]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("fetched: 4 files kept, 1 rejected")
    assert main(["cfg/data/folder.yaml", *SMALL, *fetched, "--verify"]) == 0


def test_problems_found_by_verify_are_listed(raw, capsys):
    run("--preprocess")
    next((raw.parent / "set/audio").iterdir()).write_bytes(b"")
    assert run("--verify") == 1
    told = capsys.readouterr()
    assert "is an empty file" in told.out and "1 problems" in told.err


@pytest.mark.parametrize(
    "args, status, said",
    [
        (["--data.raw_dirr=x"], 2, "'raw_dirr' is not accepted"),
        (["--data.batch_size=many"], 2, "batch_size"),
        (["--data.batch_size=0"], 2, "batch_size=0"),
        (["--data.analysis.hop_length=0"], 2, "hop_length"),
        (["--data.raw_dir=nowhere"], 1, "No folder of raw recordings nowhere"),
        (["--data.labels.csv=none.csv"], 1, "No label table"),
        (["--upload", "gone.tar.gz"], 1, "nothing to upload"),
    ],
)
def test_an_error_is_one_line(raw, capsys, args, status, said):
    assert run(*args) == status
    told = capsys.readouterr().err.strip()
    assert said in told and "\n" not in told and "Traceback" not in told


def test_debug_shows_the_traceback(raw):
    with pytest.raises(FileNotFoundError):
        run("--data.raw_dir=nowhere", "--debug")


def test_an_unknown_configuration_is_named(capsys):
    assert main(["cfg/data/nope.yaml"]) == 2
    assert "nope.yaml" in capsys.readouterr().err


def test_help_needs_no_torch():
    script = (
        "import sys, runpy\nfrom drumblender.dataset_cli import _load, main\n"
        "try:\n main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "--preprocess" in done.stdout


@pytest.mark.parametrize("name", ["folder", "freesound", "percussion"])
def test_shipped_configurations_can_be_built(name):
    data = _load(f"cfg/data/{name}.yaml", [])
    assert (data.sample_rate, data.num_samples, data.num_modes) == (48000, 96000, 64)


FLAT = """
class_path: drumblender.data.ModalDataModule
init_args:
  data_dir: x
  analysis: {cfg}/features/modes.yaml
  label_levels: [sample_pack_key]
  label_columns: {{filename: path}}
  split_strategy: sample_pack
  seed: 3
"""


def test_configurations_with_the_flat_arguments_of_before_are_read(tmp_path):
    import os

    cfg = os.path.relpath(shipped_dir("cfg"), tmp_path)  # relative to the file, as in those that are shipped
    (tmp_path / "flat.yaml").write_text(FLAT.format(cfg=cfg))
    data = _load(str(tmp_path / "flat.yaml"), ["--data.split.seed=4"])
    assert (data.split.strategy, data.split.seed) == ("sample_pack", 4)
    assert (data.labels.levels, data.labels.file_column) == (("sample_pack_key",), "path")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "[" * 20000, "a: [1, 2"])
def test_a_configuration_that_would_hang_is_one_line(tmp_path, capsys, text):
    (tmp_path / "odd.yaml").write_text(text)
    assert main([str(tmp_path / "odd.yaml")]) == 2
    told = capsys.readouterr().err.strip()
    assert "odd.yaml" in told and "\n" not in told


IN_MEMORY = """
from lightning import LightningDataModule

class Sines(LightningDataModule):
    def __init__(self, count: int = 3) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"Need at least 1, got {count=}.")
"""


def test_data_without_a_prepared_folder_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "made_in_memory.py").write_text(IN_MEMORY)
    (tmp_path / "sines.yaml").write_text("class_path: made_in_memory.Sines\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = str(tmp_path / "sines.yaml")
    assert main([config]) == 0
    assert "Sines: ready" in capsys.readouterr().out
    assert main([config, "--verify"]) == 2
    assert "keeps no prepared folder, so --verify" in capsys.readouterr().err
    assert main([config, "--data.count=0"]) == 2
    assert "count=0" in capsys.readouterr().err
