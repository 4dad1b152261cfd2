"""Tables of any container: columns, their kinds, and the way back to the container."""

from buff.tables.alike import AlikeTables, read_alike
from buff.tables.columns import Columns, Template, read, validate_data
from buff.tables.kinds import ColumnSchema
from buff.tables.opening import to_arrow
from buff.tables.schema import Schema, infer_schema
from buff.tables.weights import check_weights

__all__ = [
    "AlikeTables",
    "ColumnSchema",
    "Columns",
    "Schema",
    "Template",
    "check_weights",
    "infer_schema",
    "read",
    "read_alike",
    "to_arrow",
    "validate_data",
]
