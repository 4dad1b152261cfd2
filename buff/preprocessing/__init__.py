"""Tables to unit space and back: containers, column kinds, rank maps, categories, conditions."""

from buff.preprocessing.conditions import ConditionEncoder
from buff.preprocessing.ranks import RankMap
from buff.preprocessing.schema import ColumnSchema, Schema, infer_schema
from buff.preprocessing.tables import Columns, read
from buff.preprocessing.template import Template
from buff.preprocessing.transformer import RankSpace

__all__ = [
    "ColumnSchema",
    "Columns",
    "ConditionEncoder",
    "RankMap",
    "RankSpace",
    "Schema",
    "Template",
    "infer_schema",
    "read",
]
