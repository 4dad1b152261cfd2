"""One file of events as two, so that some are kept aside."""

from contextlib import ExitStack
from hashlib import blake2b
from os import PathLike

import numpy as np
import pyarrow as pa

from buff.errors import check_range
from buff.io.formats import format_of
from buff.io.reading import iter_table
from buff.io.text_layout import TextOptions
from buff.io.writing import TableWriter
from buff.protocols import Array

__all__ = ["split_file"]


def split_file(
    path: str | PathLike[str],
    first: str | PathLike[str],
    second: str | PathLike[str],
    *,
    fraction: float = 0.5,
    random_state: int = 0,
    group: str | None = None,
    options: TextOptions | None = None,
) -> tuple[int, int]:
    """Write each row of a file to one of two others, in the order of the file and the memory of a piece.

    Parameters
    ----------
    path : path
        Table of any format that is read.
    first, second : path
        Files to write, of any format that is written.
    fraction : float
        Probability of a row, or of a group, to go to the first.
    random_state : int
        Seed: the same one gives the same files.
    group : str, optional
        Column: rows of one value, such as the jets of one event, go to the same file; where it is missing, each row
        goes its own way.
    options : TextOptions, optional
        How a text file is laid out.

    Returns
    -------
    pair of int
        Rows of both files.

    Raises
    ------
    ValueError
        Files that are the same, no such column, or a file that would have no rows.

    Examples
    --------
    >>> import pyarrow as pa, tempfile
    >>> from buff.io import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TableWriter(f"{folder}/jets.csv") as out:
    ...         out.write(pa.table({"event": [1, 1, 2, 2, 3, 3], "pt": [80.5, 31.0, 77.0, 45.5, 60.0, 30.5]}))
    ...     names = [f"{folder}/{name}.csv" for name in ("jets", "train", "test")]
    ...     n = split_file(*names, group="event")
    ...     events = [set(read_table(name)["event"].to_pylist()) for name in names[1:]]
    >>> sum(n), events[0] & events[1]
    (6, set())
    """
    check_range("fraction", fraction, 0, 1)
    files = [format_of(name)[1].resolve() for name in (path, first, second)]
    if len(set(files)) < 3:
        raise ValueError(f"{path}, {first} and {second}: three different files are needed")
    rng = np.random.default_rng(random_state)
    with ExitStack() as stack:
        parts = [stack.enter_context(TableWriter(name)) for name in (first, second)]
        for piece in iter_table(path, options=options):
            chosen = rng.random(piece.num_rows)
            if group is not None:
                if group not in piece.column_names:
                    raise ValueError(f"{path}: no column {group!r} to group by; it has {' '.join(piece.column_names)}")
                chosen = _by_group(piece[group], chosen, random_state)
            for part, rows in zip(parts, (chosen < fraction, chosen >= fraction), strict=True):
                part.write(piece.filter(pa.array(rows)))
        sizes = parts[0].n_rows, parts[1].n_rows
        if not all(sizes):
            raise ValueError(f"{path}: {sizes[0]} and {sizes[1]} rows in the parts: take another fraction or seed")
    return sizes


def _by_group(column: pa.ChunkedArray, own: Array, seed: int) -> Array:
    """The same number in [0, 1) for all rows of a group, whatever piece they are in."""
    codes = column.combine_chunks().dictionary_encode()
    # values are told apart by their text: 7 in one format is 7 in another
    texts = [f"{seed}/{value}".encode() for value in codes.dictionary.to_pylist()]
    numbers = np.array([int.from_bytes(blake2b(text, digest_size=6).digest()) for text in texts], float) / 2.0**48
    indices = codes.indices.to_numpy(zero_copy_only=False)
    there = ~np.isnan(indices) if indices.dtype.kind == "f" else np.ones(len(indices), bool)
    chosen = own.copy()
    chosen[there] = numbers[indices[there].astype(np.intp)] if len(numbers) else own[there]
    return chosen
