"""Exact relations between columns: stated or found, taken out of a table and put back."""

from buff.tables.relations.base import Relation
from buff.tables.relations.collection import Relations
from buff.tables.relations.discovery import find_relations
from buff.tables.relations.functions import Derived, Determines, Scaled
from buff.tables.relations.numbers import Order, Sum

__all__ = ["Derived", "Determines", "Order", "Relation", "Relations", "Scaled", "Sum", "find_relations"]
