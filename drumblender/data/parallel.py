"""Runs one function on many items: on all cores, or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")
Backend = Literal["local", "ray", "dask"]


def run_parallel(
    function: Callable[[Given], Result],
    items: Sequence[Given],
    *,
    backend: Backend = "local",
    jobs: int | None = None,
) -> Iterator[Result]:
    """Results as they come, in any order.

    Args:
        function: Must survive pickling, and so must its results. Each worker runs it on one thread.
        items: What to call it with.
        backend: Processes of this machine, or the workers of a Ray or Dask cluster: the one that their own
            settings name (``RAY_ADDRESS``, ``DASK_SCHEDULER_ADDRESS``), else one started here.
        jobs: Workers; None takes every core there is.

    Raises:
        ModuleNotFoundError: The cluster's package is absent; says how to install it.
    """
    # joblib takes 0.15 s to import.
    from joblib import Parallel, cpu_count, delayed, parallel_config

    if jobs is not None and jobs < 1:
        raise ValueError(f"At least one worker is needed, got jobs={jobs}.")
    with _cluster(backend):
        limit = jobs if jobs is not None else (cpu_count() if backend == "local" else -1)
        workers = min(limit, len(items)) if limit > 0 else limit
        settings = {"inner_max_num_threads": 1} if backend == "local" and workers != 1 else {}
        with parallel_config({"local": "loky"}.get(backend, backend), n_jobs=workers or 1, **settings):
            if (
                backend == "ray"
            ):  # joblib cannot stream results from a multiprocessing pool: take them in turns
                parallel = Parallel(max_nbytes=None)
                turn = 8 * parallel._effective_n_jobs()
                for start in range(0, len(items), turn):
                    yield from parallel(delayed(function)(item) for item in items[start : start + turn])
            else:
                parallel = Parallel(return_as="generator_unordered", max_nbytes=None)
                yield from parallel(delayed(function)(item) for item in items)


def _cluster(backend: Backend) -> AbstractContextManager:
    """Joins the cluster, or starts one here, for as long as the context lasts."""
    try:
        if backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        elif backend == "dask":
            from distributed import Client

            return Client()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'--backend {backend} needs {error.name}: pip install "drumblender[cluster]".'
        ) from error
    return nullcontext()
