"""How many threads a fit inside a metric may use."""

from typing import Any

from threadpoolctl import threadpool_limits

__all__ = ["modest_threads"]


def modest_threads(n_rows: int) -> Any:
    """Context in which a fit to fewer than 100,000 rows runs on one thread.

    So small a fit gains nothing from more, loses much where the cores are taken, and comes out the same on
    every machine.

    Examples
    --------
    >>> with modest_threads(1000):
    ...     pass
    """
    return threadpool_limits(1 if n_rows < 100_000 else None)
