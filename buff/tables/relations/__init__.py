"""Exact relations between columns: stated or found, taken out of a table and put back."""

from buff.tables.relations.angle import Angle
from buff.tables.relations.base import BrokenRelationError, Relation
from buff.tables.relations.collection import Relations
from buff.tables.relations.combinations import Combinations
from buff.tables.relations.coordinates import Coordinates
from buff.tables.relations.discovery import find_relations
from buff.tables.relations.functions import Derived, Determines, Rescaled
from buff.tables.relations.numbers import Order, Sum
from buff.tables.relations.pair_mass import PairMass
from buff.tables.relations.unique import Unique

__all__ = [
    "Angle",
    "BrokenRelationError",
    "Combinations",
    "Coordinates",
    "Derived",
    "Determines",
    "Order",
    "PairMass",
    "Relation",
    "Relations",
    "Rescaled",
    "Sum",
    "Unique",
    "find_relations",
]
