"""Work on a cluster: what of Ray is used, by a stand-in of it; docs/scale.md has what the real one did."""

import sys
from types import SimpleNamespace

import pytest

from drumblender.data.prepare.parallel import run_parallel


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class Ray:
    """Runs tasks when they are asked for, and keeps count."""

    exceptions = SimpleNamespace(RayTaskError=RayTaskError)

    def __init__(self):
        self.started, self.stopped, self.waiting, self.most = [], 0, 0, 0

    def is_initialized(self):
        return False

    def init(self, address, **settings):
        self.started.append(address)
        if address == "auto":
            raise ConnectionError("no cluster")

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, function):
        assert type(function).__name__ == "function"  # Ray takes no partial

        def submit(item):
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            return function, item

        return SimpleNamespace(remote=submit)

    def wait(self, tasks):
        return tasks[-1:], tasks[:-1]

    def get(self, task):
        function, item = task
        self.waiting -= 1
        try:
            return function(item)
        except ZeroDivisionError as error:
            raise RayTaskError(error) from error

    def shutdown(self):
        self.stopped += 1


@pytest.fixture
def ray(monkeypatch):
    stand_in = Ray()
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.setattr("drumblender.data.prepare.parallel._need", lambda package: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return stand_in


def test_ray_gives_all_results_and_holds_few_tasks(ray):
    assert sorted(run_parallel(abs, range(-50, 0), backend="ray", jobs=3)) == list(range(1, 51))
    assert ray.started == ["auto", "local"] and ray.stopped == 1
    assert ray.most == 12


def test_a_cluster_that_is_named_is_joined(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert list(run_parallel(abs, [-1], backend="ray")) == [1]
    assert ray.started == ["ray://head:10001"]


def test_a_cluster_that_is_named_and_absent_is_no_reason_to_work_here(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConnectionError, match="No Ray cluster answers at RAY_ADDRESS=auto"):
        list(run_parallel(abs, [-1], backend="ray"))


def test_an_error_of_a_task_comes_as_it_was(ray):
    with pytest.raises(ZeroDivisionError):
        list(run_parallel((1).__truediv__, [1, 0], backend="ray"))
    assert ray.stopped == 1
