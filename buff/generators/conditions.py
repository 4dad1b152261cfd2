"""Conditions as users give them: names of columns, complete or partial conditions, or none."""

from typing import Any

import numpy as np

from buff.errors import warn
from buff.protocols import Array, ConditionLike, TableLike
from buff.randomness import condition_normals
from buff.tables import read
from buff.transforms import ConditionEncoder
from buff.transforms.conditions import read_any

__all__ = ["requested_conditions", "split_conditions"]


def split_conditions(X: TableLike, condition: ConditionLike) -> tuple[Any, Any]:
    """Split the columns that ``condition`` names off the table; both unchanged if it names none.

    Raises
    ------
    ValueError
        A name that the table does not have, or no column beside those named.
    """
    named = [condition] if isinstance(condition, str) else condition
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named) or not named:
        return X, condition
    columns = read(X)
    absent = [name for name in named if name not in columns.names]
    if absent and not isinstance(condition, str):
        return X, condition  # labels of the rows
    if absent:
        raise ValueError(f"condition={condition!r} names no column of X; the columns are {list(columns.names)}")
    if len(named) == len(columns.names):
        raise ValueError("condition names all columns of X: leave one to be learned")
    parts = ([j for j, name in enumerate(columns.names) if (name in named) is of] for of in (False, True))
    rest, given = (columns.select(numbers) for numbers in parts)
    return rest.template.restore(rest.arrays), given.template.restore(given.arrays)


def requested_conditions(
    encoder: ConditionEncoder, n: int, condition: ConditionLike, seed: int, first_event: int
) -> tuple[Any, Array, int]:
    """Conditions in the container of the training, as features, and the number of events they ask for.

    Raises
    ------
    ValueError
        Rows that do not go with ``n``, unknown labels, no column that the model knows.
    """
    if condition is None:
        condition = encoder.draw(condition_normals(seed, first_event, n, encoder.n_normals))
        features = encoder.transform(condition) if n else np.empty((0, encoder.n_dims), np.float32)
        return condition, features, n
    if encoder.is_partial(condition):
        m = len(read_any(condition)[0])
        if m > 1 and n not in (1, m):
            raise ValueError(f"condition has {m} rows and n_samples is {n}: leave n_samples out, or give one row")
        n = n if m == 1 else m
        normals = condition_normals(seed, first_event, n, encoder.n_normals)
        columns = encoder.complete(condition, normals)
    else:
        columns = encoder.aligned(condition)
    features = encoder.transform(columns)
    for words in encoder.unknown_ranges(columns):
        warn(f"condition: {words}, where it was trained: events are those of the end")
    if len(features) != 1 and n not in (1, len(features)):
        raise ValueError(
            f"condition has {len(features)} rows and n_samples is {n}: leave n_samples out for one event a row, "
            f"or give one row"
        )
    given = condition if encoder.is_alike(condition) else encoder.restore(columns)
    return given, features, n if len(features) == 1 else len(features)
