"""Parallel training of nodes in processes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from joblib import Parallel, delayed
from joblib.parallel import LokyBackend, get_active_backend
from threadpoolctl import threadpool_limits

__all__ = ["in_processes"]


def in_processes(function: Callable[..., Any], jobs: list[Any], n_workers: int) -> Iterator[Any]:
    """``function(*job)`` of all jobs, as they are ready, in so many processes or by the workers of a cluster."""
    # from their start on: a worker that is still importing when its parent is killed would wait for minutes
    own = isinstance(get_active_backend()[0], LokyBackend)
    watched = {"initializer": _end_with, "initargs": (os.getpid(),)} if own else {}
    results = Parallel(n_workers, return_as="generator_unordered", **watched)(
        delayed(_apart)(os.getpid(), function, *job) for job in jobs
    )
    return results  # type: ignore[no-any-return]


def _apart(parent: int, function: Callable[..., Any], *job: Any) -> Any:
    if os.getpid() != parent:
        # a process that so much as looks at a GPU reserves memory there
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with threadpool_limits(1):
        return function(*job)


@lru_cache(maxsize=1)
def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a fit that is killed leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
