"""Tables of any container: columns, their kinds, and the way back to the container."""

from buff.tables.columns import Columns, read
from buff.tables.schema import ColumnSchema, Schema, infer_schema
from buff.tables.template import Template

__all__ = ["ColumnSchema", "Columns", "Schema", "Template", "infer_schema", "read"]
