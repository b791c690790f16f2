import pytest
import torch

from drumblender.data.loading import loading


def test_with_a_gpu_other_cores_read_into_pinned_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert loading() == {"num_workers": 3, "persistent_workers": True, "pin_memory": True}
    assert loading(0) == {"num_workers": 0, "persistent_workers": False, "pin_memory": True}
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert loading()["num_workers"] == 0


def test_without_one_the_process_that_trains_reads(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loading() == {"num_workers": 0, "persistent_workers": False, "pin_memory": False}


def test_fewer_than_none_is_refused():
    with pytest.raises(ValueError, match="num_workers=-1"):
        loading(-1)
