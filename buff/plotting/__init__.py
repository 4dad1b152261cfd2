"""Figures of real against generated tables, of the flow, and of quality against cost.

Every function takes arrays or tables and returns a :class:`matplotlib.figure.Figure` that belongs to nobody:
``figure.savefig("name.pdf")`` writes it, no state of pyplot is touched.
"""

from buff.plotting.columns import Observable, observables
from buff.plotting.corner import corner
from buff.plotting.correlations import associations, correlation_difference
from buff.plotting.marginals import marginals
from buff.plotting.quality import Quality, quality_against_nfe
from buff.plotting.trajectories import flow_trajectory

__all__ = [
    "Observable",
    "Quality",
    "associations",
    "corner",
    "correlation_difference",
    "flow_trajectory",
    "marginals",
    "observables",
    "quality_against_nfe",
]
