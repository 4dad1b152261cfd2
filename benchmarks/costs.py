"""What a piece of work costs: seconds by the clock, CPU seconds and memory of all its processes.

The meter needs only the standard library, so that a peer in another environment is metered by the same code.
Memory and the seconds of living workers are read from Linux' ``/proc``; elsewhere memory is nan and only
workers that have ended count.
"""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

__all__ = ["Cost", "Meter", "in_fresh_process"]

PROC = Path("/proc")
SAMPLING_PERIOD = 0.05  # s, between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """Price of a piece of work.

    Attributes
    ----------
    wall : float
        Seconds by the clock.
    cpu : float
        CPU seconds of this process and of every process under it.
    memory : float
        Bytes held at the peak by all of them, pages they share counted once.
    memory_before : float
        Bytes held when the work began: the interpreter, its libraries and the data.
    """

    wall: float
    cpu: float
    memory: float
    memory_before: float


@dataclass
class Meter:
    """Context manager that fills :attr:`cost` on leaving.

    >>> with Meter() as meter:
    ...     total = sum(range(1000))
    >>> meter.cost.wall > 0
    True
    """

    cost: Cost = field(init=False)

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._before = self._peak = memory_in_use()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        wall, cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu
        self._done.set()
        self._watcher.join()
        self.cost = Cost(wall, cpu, max(self._peak, memory_in_use()), self._before)

    def _watch(self) -> None:
        while not self._done.wait(SAMPLING_PERIOD):
            self._peak = max(self._peak, memory_in_use())


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result from a process started for it, so that no earlier work weighs on its cost."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_and_end_workers, function, *arguments).result()


def _and_end_workers(function: Callable[..., Any], *arguments: Any) -> Any:
    """A process waits for its children to end, and joblib's would only do so after five idle minutes."""
    try:
        return function(*arguments)
    finally:
        if "joblib" in sys.modules:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)


def cpu_seconds() -> float:
    """User and system seconds of this process, its ended children and its living descendants."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return own + sum(_cpu_ticks(pid) for pid in _descendants(os.getpid())) / os.sysconf("SC_CLK_TCK")


def memory_in_use() -> float:
    """Bytes of this process and its descendants: private pages of each, the largest set of shared ones."""
    pages = [_pages(pid) for pid in (os.getpid(), *_descendants(os.getpid()))]
    if not any(resident for resident, _ in pages):
        return float("nan")
    private = sum(resident - shared for resident, shared in pages)
    return float(private + max(shared for _, shared in pages)) * os.sysconf("SC_PAGE_SIZE")


def _descendants(pid: int) -> Iterator[int]:
    for children in (PROC / str(pid) / "task").glob("*/children"):
        for child in _read(children).split():
            yield int(child)
            yield from _descendants(int(child))


def _cpu_ticks(pid: int) -> int:
    """utime, stime, cutime and cstime of proc(5); the fields before them end at the name's bracket."""
    fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15])


def _pages(pid: int) -> tuple[int, int]:
    """(resident, shared) of proc(5)."""
    fields = _read(PROC / str(pid) / "statm").split()
    return (int(fields[1]), int(fields[2])) if fields else (0, 0)


def _read(path: Path) -> str:
    """Empty where there is no such file: a process may end between being listed and being read."""
    try:
        return path.read_text()
    except OSError:
        return ""
