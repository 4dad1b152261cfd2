"""Tables in files: read whole or in pieces, written in pieces.

Parquet, CSV and TSV (also gzipped), feather and Arrow, HDF5, NPZ and ROOT; the suffix of a name says which.
Everything is handed over as :class:`pyarrow.Table`.
"""

from buff.io.reading import column_names, iter_table, read_table
from buff.io.splitting import split_file
from buff.io.tables import to_table, units_of
from buff.io.text_layout import TextOptions
from buff.io.writing import TableWriter

__all__ = [
    "TableWriter",
    "TextOptions",
    "column_names",
    "iter_table",
    "read_table",
    "split_file",
    "to_table",
    "units_of",
]
