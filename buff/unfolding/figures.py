"""Figures of an unfolding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from buff.protocols import Array, BinsLike, TableLike
from buff.tables import Columns
from buff.unfolding.binning import Binning, Covariance
from buff.unfolding.events import Simulation
from buff.unfolding.iterations import History
from buff.unfolding.members import Measured
from buff.unfolding.response import Response

__all__ = ["Figures"]


class Figures:
    """What an :class:`~buff.unfolding.UnfoldingResult` draws, see its attributes."""

    if TYPE_CHECKING:
        method: str
        columns: Columns
        weights: Array
        history: History
        simulation: Simulation
        measured: Measured
        signal: Array
        refolded: Array | None

        def covariance(self, columns: Any, bins: BinsLike = 30) -> Covariance: ...

        def response(self, column: str | int, bins: BinsLike = 30) -> Response: ...

        def _binning(self, columns: Any, bins: BinsLike) -> Binning: ...

        def _sources(self, binning: Binning) -> tuple[dict[str, Array], dict[str, Any]]: ...

        def _poisson(self, binning: Binning) -> Array: ...

        def _error_name(self) -> str: ...

    def plot_unfolded(
        self, column: str | int, bins: BinsLike = 30, *, truth: TableLike | None = None, **style: Any
    ) -> Any:
        """Unfolded, simulated and measured distribution, with the ratio to the truth.

        The band is the total error of :meth:`histogram`; the legend says of what. Bars are the error of the data: of
        their replicas, if there are any, else the Poisson error of the weights, of the measured events or of the
        simulated ones for ``"reweight"``.

        Parameters
        ----------
        column : str or int
        bins : int or array of edges
        truth : array of shape (bins,), optional
            Events in each bin that there should be, where known.
        **style
            Such as ``unit``, ``normalise``, ``log``, ``labels`` or ``experiment`` of
            :func:`buff.plotting.unfolded_spectrum`.
        """
        from buff.plotting import unfolded_spectrum

        binning = self._binning(column, bins)
        simulation, name = self.simulation, binning.names[0]
        scale = self.weights.sum() / simulation.weights.sum()
        given: dict[str, Any] = {"prior": binning.counts(simulation.truth, simulation.weights * scale), "truth": truth}
        if name in self.measured.reco.names:
            given["reco"] = binning.counts(self.measured.reco, self.signal)
        sources, replicas = self._sources(binning)
        matrix, poisson = np.asarray(sum(sources.values())), self._poisson(binning)
        if replicas or style.get("normalise") or np.any(matrix != np.diag(np.diag(matrix))):
            given |= {"covariance": matrix, **replicas}
        labels = {"band": self._error_name(), **(style.pop("labels", None) or {})}
        error = np.sqrt(np.diag(sources["data"]) if "data" in sources else poisson)
        counts = binning.counts(self.columns, self.weights)
        return unfolded_spectrum(binning.edges[0], counts, error=error, name=name, labels=labels, **given, **style)

    def plot_refolded(self, column: str | int, bins: BinsLike = 30, **style: Any) -> Any:
        """Unfolded events at detector level beside the measured signal, with their ratio.

        Parameters
        ----------
        column : str or int
            Of reco.
        bins : int or array of edges
        **style
            As for :meth:`plot_unfolded`.
        """
        from buff.plotting import unfolded_spectrum

        if self.refolded is None:
            raise ValueError("too few measured events for a refolding, which learns from 10 at least")
        s, w = self.simulation, self.refolded
        binning = Binning.of(self.measured.reco, self.signal, column, bins)
        found = s.reco.take(np.arange(s.n_matched))
        own = found, w, np.full(len(w), -1)
        measured = self.measured.reco, self.signal, np.full(len(self.signal), -1)
        labels = {"unfolded": "refolded", "truth": "measured signal", "band": "statistics of the simulation"}
        return unfolded_spectrum(
            binning.edges[0],
            binning.counts(*own[:2]),
            error=np.sqrt(binning.variances(*own)),
            truth=binning.counts(*measured[:2]),
            truth_error=np.sqrt(binning.variances(*measured)),
            name=f"{binning.names[0]} at detector level",
            labels=labels | (style.pop("labels", None) or {}),
            **style,
        )

    def plot_migration(self, column: str | int, bins: BinsLike = 30, **style: Any) -> Any:
        """Where the simulated detector finds the events of each bin of a column that truth and reco both have."""
        from buff.plotting import migration

        response = self.response(column, bins)
        return migration(np.nan_to_num(response.migration), response.edges, name=response.name, **style)

    def plot_correlation(self, column: str | int, bins: BinsLike = 30, **style: Any) -> Any:
        """Correlations of the unfolded bins of a column."""
        from buff.plotting import bin_correlations

        covariance = self.covariance(column, bins)
        binning = covariance.binning
        return bin_correlations(
            covariance.total, binning.edges[0], name=binning.names[0], **covariance.replicas, **style
        )

    def plot_convergence(self, **style: Any) -> Any:
        """Change of the unfolded density in each iteration."""
        from buff.plotting import convergence

        return convergence({self.method: [iteration.change for iteration in self.history]}, **style)
