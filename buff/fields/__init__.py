"""Fields: the velocity dx/dt as solvers call it, ``field(x, t, condition)``, and views of one.

A field knows its ``path`` (so that a solver can read data, noise or score from the velocity) and its
``times``: the nodes where it exists, or None for every time.
"""

from buff.fields.sources import AbstractField, GaussianFlow, GaussianPart, NodeField
from buff.fields.steps import IndexField, TimeField
from buff.fields.views import Clipped, Counted, Framed, Guided, Retimed, Reversed, Scaled

__all__ = [
    "AbstractField",
    "Clipped",
    "Counted",
    "Framed",
    "GaussianFlow",
    "GaussianPart",
    "Guided",
    "IndexField",
    "NodeField",
    "Retimed",
    "Reversed",
    "Scaled",
    "TimeField",
]
