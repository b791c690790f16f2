"""Runs one function on many items: on all cores, or on a cluster."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, TypeVar

import torch

Given = TypeVar("Given")
Result = TypeVar("Result")
Backend = Literal["local", "threads", "processes", "ray", "dask"]

# The analyses run without Python's lock most of the time, so that threads keep a few cores busy. A process is
# ready for work only after 5 s of imports.
_FEW_JOBS = 4
_FEW_ITEMS = 2000
_TASKS_A_WORKER = 4  # of ray that wait, so that no worker does


def run_parallel(
    function: Callable[[Given], Result],
    items: Sequence[Given],
    *,
    backend: Backend = "local",
    jobs: int | None = None,
) -> Iterator[Result]:
    """Results as they come, in any order.

    Args:
        function: Safe in threads; it and its results survive pickling. Each worker computes on one thread.
        items: What to call it with.
        backend: ``local`` takes threads for little work or few cores, else processes. ``ray`` and ``dask``
            take the workers of a cluster: the one that their own settings name (``RAY_ADDRESS``,
            ``DASK_SCHEDULER_ADDRESS``), else one started on this machine.
        jobs: Workers; None takes every core there is.

    Raises:
        ModuleNotFoundError: The cluster's package is absent; says how to install it.
        ConnectionError: There is no cluster of Ray where ``RAY_ADDRESS`` says.
    """
    # joblib takes 0.15 s to import.
    from joblib import Parallel, cpu_count, delayed, parallel_config

    if jobs is not None and jobs < 1:
        raise ValueError(f"At least one worker is needed, got jobs={jobs}.")
    if not items:
        return
    if backend == "ray":
        yield from _on_ray(function, items, jobs)
        return
    calls = [delayed(function)(item) for item in items]
    workers = -1 if backend == "dask" and jobs is None else min(jobs or cpu_count(), len(items))
    with (
        _place(backend, workers, len(items)) as (name, settings),
        parallel_config(name, n_jobs=workers, **settings),
    ):
        if name == "threading":
            yield from _in_threads(function, items, workers)
        else:
            yield from Parallel(return_as="generator_unordered", max_nbytes=None)(calls)


@contextmanager
def _place(backend: Backend, workers: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of joblib's backend; joins or starts a cluster for as long as the context lasts."""
    if backend == "dask":
        _need("distributed")
        from distributed import Client

        with Client():
            yield "dask", {}
    elif backend == "threads" or (backend == "local" and (workers <= _FEW_JOBS or count <= _FEW_ITEMS)):
        with _one_thread_each(workers):
            yield "threading", {}
    else:
        yield "loky", {"inner_max_num_threads": 1}


def _on_ray(
    function: Callable[[Given], Result], items: Sequence[Given], jobs: int | None
) -> Iterator[Result]:
    """As tasks, a few for each worker at a time: ray behind joblib starts new workers for every turn."""
    _need("ray")
    import ray

    quietly = {"logging_level": "ERROR", "log_to_driver": False}
    if started := not ray.is_initialized():
        named = os.environ.get("RAY_ADDRESS")
        try:
            ray.init(address=named or "auto", **quietly)
        except ConnectionError as error:
            if named:
                raise ConnectionError(f"No Ray cluster answers at RAY_ADDRESS={named}.") from error
            ray.init(address="local", num_cpus=jobs, include_dashboard=False, **quietly)
    task = ray.remote(lambda item: function(item))  # a partial is no function to ray
    waiting, ahead = [], iter(items)
    most = _TASKS_A_WORKER * (jobs or max(1, int(ray.cluster_resources().get("CPU", 1))))
    try:
        while True:
            waiting += [task.remote(item) for item in islice(ahead, most - len(waiting))]
            if not waiting:
                return
            done, waiting = ray.wait(waiting)
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # as it was there, without the traceback of the worker
    finally:
        if started:
            ray.shutdown()


def _in_threads(
    function: Callable[[Given], Result], items: Sequence[Given], workers: int
) -> Iterator[Result]:
    """As joblib would, which leaves its threads behind after an error: one in compiled code aborts Python."""
    pool = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([pool.submit(function, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Keep torch's own threads out of the way of ours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if workers > 1 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _need(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ModuleNotFoundError(f'This backend needs {package}: pip install "drumblender[cluster]".')
