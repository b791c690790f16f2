import os

import pytest
import yaml

from drumblender.checkpoint_file import save_checkpoint
from drumblender.resume_from import changed_settings, resumable


def keep(folder, number, settings, age_s):
    last = folder / f"version_{number}/checkpoints/last.ckpt"
    save_checkpoint({"state_dict": {}}, last)
    os.utime(last, (1e9 - age_s, 1e9 - age_s))
    (folder / f"version_{number}/config.yaml").write_text(yaml.safe_dump(settings))
    return last


def of(data_dir, **model):
    return {"model": {"init_args": model}, "data": {"init_args": {"data_dir": data_dir}}, "trainer": {"n": 1}}


def test_the_newest_run_of_the_same_settings_goes_on(tmp_path):
    drums = keep(tmp_path, 0, of("drums", size=3), age_s=9)
    keep(tmp_path, 1, of("bells", size=3), age_s=5)
    assert resumable(tmp_path, of("drums", size=3) | {"trainer": {"n": 2}}) == drums
    with pytest.raises(ValueError, match="version_1 had data.init_args.data_dir: bells, now gongs"):
        resumable(tmp_path, of("gongs", size=3))
    with pytest.raises(ValueError, match=r"version_1 had model.init_args.size: 3, now 4"):
        resumable(tmp_path, of("bells", size=4))


def test_what_an_earlier_version_did_not_know_is_no_difference(tmp_path):
    last = keep(tmp_path, 0, of("drums"), age_s=9)
    assert resumable(tmp_path, of("drums", size=3)) == last


@pytest.mark.parametrize("text", ["", "3", "a: [", "a: &a [*a]", "model: 3"])
def test_a_configuration_that_says_nothing_differs_in_nothing(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert changed_settings(path, of("drums", size=3)) == []


@pytest.mark.parametrize("workers", [0, 4])
def test_how_many_processes_read_decides_nothing(tmp_path, workers):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"data": {"num_workers": 2}}))
    assert changed_settings(path, {"data": {"num_workers": workers}}) == []
