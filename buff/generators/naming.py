"""Columns of a table by their names, as conditions."""

from typing import Any

from buff.tables import read

__all__ = ["split_conditions"]


def split_conditions(X: Any, condition: Any) -> tuple[Any, Any]:
    """The table without the columns that ``condition`` names, and these; both as they are where it names none.

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
    return tuple(part.template.restore(part.arrays) for part in (rest, given))  # type: ignore[return-value]
