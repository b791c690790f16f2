"""`cfg/...` names the shipped files from any folder: on the command line, and inside the user's own files."""

import pytest
import yaml

from drumblender.cli import run

OWN = """
model:
  class_path: drumblender.tasks.DrumTask
  init_args:
    sample_rate: 48000
    voices:
      noise: {synth: cfg/synths/noise.yaml, controls: parts/controls.yaml}
    loss: cfg/losses/mrstft.yaml
    metrics: cfg/metrics/drums.yaml
data: cfg/data/folder.yaml
"""
MORE = """
model:
  init_args:
    voices:
      modal: {synth: cfg/synths/modal.yaml}
      noise: {synth: cfg/synths/noise.yaml, controls: parts/controls.yaml}
"""
CONTROLS = """
class_path: drumblender.controllers.HeardControls
init_args: {encoder: cfg/encoders/soundstream.yaml}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's, which is neither the working folder nor near the shipped files."""
    (tmp_path / "own/parts").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "own/run.yaml").write_text(OWN)
    (tmp_path / "own/more.yaml").write_text(MORE)
    (tmp_path / "own/parts/controls.yaml").write_text(CONTROLS)
    return tmp_path / "own"


def parsed(capsys, *configs):
    with pytest.raises(SystemExit) as stop:
        run(["fit", *(part for path in configs for part in ("-c", str(path))), "--print_config"])
    assert stop.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_parts_of_a_file_elsewhere_are_shipped_ones_however_deep_and_stacked(own, capsys):
    config = parsed(capsys, own / "run.yaml", own / "more.yaml")
    task = config["model"]["init_args"]
    kinds = {name: voice["init_args"]["synth"]["class_path"] for name, voice in task["voices"].items()}
    assert kinds == {"modal": "drumblender.synths.ModalSynth", "noise": "drumblender.synths.NoiseSynth"}
    encoder = task["voices"]["noise"]["init_args"]["controls"]["init_args"]["encoder"]
    assert encoder["class_path"].endswith("SoundStreamEncoder")
    assert task["loss"]["class_path"].endswith("MultiResolutionSTFTLoss") and task["metrics"]
    assert config["data"]["class_path"].startswith("drumblender.data.")


def test_a_file_of_that_path_beside_the_configuration_comes_first(own, capsys):
    (own / "cfg/losses").mkdir(parents=True)
    (own / "cfg/losses/mrstft.yaml").write_text("class_path: torch.nn.L1Loss")
    config = parsed(capsys, own / "run.yaml")
    assert config["model"]["init_args"]["loss"]["class_path"] == "torch.nn.L1Loss"


def test_a_shipped_file_that_there_is_not_is_named(own, capsys):
    (own / "run.yaml").write_text(OWN.replace("mrstft", "mrsfft"))
    assert run(["fit", "-c", str(own / "run.yaml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cfg/losses/mrsfft.yaml" in line
