"""How many threads the work inside a metric may use."""

from typing import Any

from threadpoolctl import threadpool_limits

__all__ = ["modest_threads"]


def modest_threads(n_rows: int) -> Any:
    """Context in which linear algebra, and fits to fewer than 100,000 rows, run on one thread.

    Such small pieces of work gain nothing from more threads, lose much where the cores are taken, and come
    out the same on every machine.

    Examples
    --------
    >>> with modest_threads(1000):
    ...     pass
    """
    return threadpool_limits({"blas": 1} if n_rows >= 100_000 else {"blas": 1, "openmp": 1})
