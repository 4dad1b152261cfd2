"""Calibrations of marginals between two samples, and from files; that of a fit is made in ``fit.py``."""

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtr

from buff.flows.fit import MarginalCalibration
from buff.protocols import Array, Numbers, Weights
from buff.records import checked_array, checked_record

__all__ = ["calibration_between", "restored_calibration"]

#: Normal scores of the levels at which two samples are compared.
_COMPARED = np.linspace(-3.0, 3.0, 201)


def calibration_between(drawn: Numbers, wanted: Numbers, weights: Weights) -> MarginalCalibration:
    """The marginals of ``wanted`` (n, d) with weights (n,), from ``drawn`` (m n, d), m draws of each event."""
    repeated = np.repeat(weights, len(drawn) // len(weights))
    everywhere = np.ones(drawn.shape[1], bool)
    return MarginalCalibration(_quantiles(drawn, repeated), everywhere, _quantiles(wanted, weights))


def _quantiles(x: Numbers, weights: Weights) -> Array:
    """Weighted quantiles of each column, float64 of shape (k, d)."""
    levels, columns = ndtr(_COMPARED), []
    for column in x.T:
        order = np.argsort(column)
        below = np.cumsum(weights[order])
        columns.append(column[order][np.searchsorted(below, levels * below[-1])])
    return np.asarray(np.column_stack(columns), np.float64)


def restored_calibration(arrays: Mapping[str, Array], name: str, d: int) -> MarginalCalibration:
    """The map of d scores to normal ones that is kept in the arrays under a name.

    Raises
    ------
    ArchiveError
        Arrays that are lost or have other shapes, quantiles that fall or are not finite.
    """
    checked_record(arrays, "the calibration", (f"{name}/quantiles", f"{name}/smooth"))
    quantiles = checked_array(arrays[f"{name}/quantiles"], f"{name}/quantiles", (21, d), rising=True)
    return MarginalCalibration(quantiles, checked_array(arrays[f"{name}/smooth"], f"{name}/smooth", (d,), kinds="b"))
