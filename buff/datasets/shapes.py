"""One line for a data set, whatever its size."""

from typing import Any

import numpy as np

__all__ = ["ShortRepr"]


class ShortRepr:
    """A dataclass of arrays that prints their shapes and types.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, eq=False, repr=False)
    ... class Sample(ShortRepr):
    ...     truth: np.ndarray
    ...     unit: str = "GeV"
    >>> Sample(np.zeros((1000, 3), np.float32))
    Sample(truth: float32 (1000, 3), unit: 'GeV')
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}: {_short(value)}' for name, value in vars(self).items())})"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, tuple) and len(value) > 3:
        return f"{len(value)} of {type(value[0]).__name__}"
    return repr(value)
