"""Figures of real against generated tables, of unfolded distributions, of the flow, and of quality against cost.

Functions that draw (:func:`marginals` first) take arrays or tables and return a :class:`matplotlib.figure.Figure` that
belongs to nobody: ``figure.savefig("name.pdf")`` writes it, no state of pyplot is touched. :func:`observables` draws
nothing: it lists what of two tables there is to draw.
"""

from buff.plotting.columns import Observable, observables
from buff.plotting.corner import corner
from buff.plotting.correlations import associations, correlation_difference
from buff.plotting.jets import event_displays, lund_planes, particle_spectra
from buff.plotting.marginals import marginals
from buff.plotting.posteriors import calibration, mean_truth
from buff.plotting.quality import Quality, quality_against_nfe
from buff.plotting.showers import average_showers, shower_displays, shower_histograms, shower_profiles
from buff.plotting.spectrum import unfolded_spectrum
from buff.plotting.trajectories import flow_trajectory
from buff.plotting.unfolding import bin_correlations, closure, convergence, iteration_scan, migration

__all__ = [
    "Observable",
    "Quality",
    "associations",
    "average_showers",
    "bin_correlations",
    "calibration",
    "closure",
    "convergence",
    "corner",
    "correlation_difference",
    "event_displays",
    "flow_trajectory",
    "iteration_scan",
    "lund_planes",
    "marginals",
    "mean_truth",
    "migration",
    "observables",
    "particle_spectra",
    "quality_against_nfe",
    "shower_displays",
    "shower_histograms",
    "shower_profiles",
    "unfolded_spectrum",
]
