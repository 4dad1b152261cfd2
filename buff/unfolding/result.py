"""What comes out of an unfolding: events with weights, how they came about, and how sure they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from buff.archive import Archive, write_archive
from buff.errors import MissingExtraError
from buff.protocols import Array, BinsLike, Mask, TableLike
from buff.tables import Columns
from buff.unfolding.binning import Binning, Blocks, Covariance
from buff.unfolding.diagnostics import Diagnostics
from buff.unfolding.events import Simulation
from buff.unfolding.export import write_tables, write_weights
from buff.unfolding.iterations import History
from buff.unfolding.members import Measured, Unfolded
from buff.unfolding.replicas import Replica, told_errors
from buff.unfolding.settings import SPOKEN
from buff.unfolding.stored_result import archive_of_result, parts_of_result

__all__ = ["Diagnostics", "Replica", "UnfoldingResult"]


@dataclass(frozen=True, eq=False, repr=False)
class UnfoldingResult:
    """Unfolded events; prints as what was done, the iterations and the diagnostics.

    Attributes
    ----------
    method : str
    events : table of shape (n, p)
        Truth, in the container that was fitted: draws for the measured events, or simulated events.
    weights : array of shape (n,)
        In units of measured events, corrected for background, fakes and efficiency: their sum is the number of events
        at truth level.
    measured_rows : array of shape (n,)
        The measured event that a draw belongs to; -1 for simulated events.
    replicas : tuple of Replica
    history : History
        What each iteration changed; prints as a table.
    diagnostics : Diagnostics
    outside : array of bool of shape (measured events,)
        Measured events that lie where no simulated one does.
    simulation : Simulation
    measured : Measured
    signal : array of shape (measured events,)
        Weights of the measured events without background and fakes.
    refolded : array of shape (matched simulated events,) or None
        Weights of the simulated events that pass both cuts, which give them the unfolded truth.
    """

    method: str
    columns: Columns
    weights: Array
    measured_rows: Array
    replicas: tuple[Replica, ...]
    history: History
    diagnostics: Diagnostics
    outside: Array
    simulation: Simulation
    measured: Measured
    signal: Array
    refolded: Array | None = None

    def __repr__(self) -> str:
        counted = Counter(SPOKEN.get(replica.source, replica.source) for replica in self.replicas)
        replicas = ", ".join(f"{n} of {source}" for source, n in counted.items()) or "none"
        head = f"UnfoldingResult({self.method}: {len(self.columns):,} rows, {self.weights.sum():,.6g} truth events"
        return f"{head}; replicas: {replicas})\n{self.history!r}\n{self.diagnostics}\n{self.errors}"

    @property
    def errors(self) -> str:
        """What the errors of histograms and figures hold, and what not: a sentence."""
        return told_errors(self.replicas, self.method, bool(self.measured.of_background.values.any()))

    @property
    def events(self) -> Any:
        """Unfolded truth, in the container that was fitted."""
        return self.columns.template.restore(self.columns.arrays)

    def histogram(self, columns: str | int | Sequence[str | int], bins: BinsLike = 30) -> Any:
        """Unfolded distribution of one column, or of several together.

        Parameters
        ----------
        columns : str, int or sequence of these
            Names or numbers.
        bins : int or array of edges, one for each of several columns
            A number asks for equal bins over the central 99.8 percent; a column of whole numbers gets so many at most,
            with edges at half-integers and the same number of integers in each.

        Returns
        -------
        hist.Hist
            Weight storage: events at truth level, and their variances. These are the diagonal of :meth:`covariance`
            where there are replicas, else the fluctuation of the measured events (or of the simulated events, for
            ``"reweight"``) alone.

        Raises
        ------
        MissingExtraError
            Without hist.
        """
        try:
            import hist
        except ImportError as error:
            raise MissingExtraError("hist", "plot") from error
        binning = self._binning(columns, bins)
        axes = [
            hist.axis.Variable(edges, name=name, label=name)
            for name, edges in zip(binning.names, binning.edges, strict=True)
        ]
        h = hist.Hist(*axes, storage=hist.storage.Weight())
        view = h.view()
        view.value = binning.counts(self.columns, self.weights).reshape(binning.shape)
        view.variance = self._variance(binning).reshape(binning.shape)
        return h

    def beyond(self, columns: str | int | Sequence[str | int], bins: BinsLike = 30) -> float:
        """Events at truth level that lie in no bin of :meth:`histogram`."""
        return self._binning(columns, bins).beyond(self.columns, self.weights)

    def covariance(
        self, columns: str | int | Sequence[str | int] | Mapping[str, BinsLike], bins: BinsLike = 30
    ) -> Covariance:
        """Covariance of the bins of :meth:`histogram`, by source.

        Each is the covariance of the replicas of that source about their mean. Those of the simulation keep the seeds
        of the result, those of the model (other seeds) its events, so that the three are independent and add up. An
        alternative simulation adds its difference times itself: all bins move together. A warning says where no source
        has as many replicas as a chi-squared of the bins needs.

        Parameters
        ----------
        columns : str, int, sequence of these, or mapping from name to bins
            A mapping asks for several histograms side by side, with what they have in common:
            ``{"mass": edges, "mult": 20}``.
        bins : int or array of edges
            As for :meth:`histogram`; not looked at for a mapping.

        Returns
        -------
        Covariance
            ``total`` and ``correlation`` of all sources, ``data``, ``simulation``, ``model`` and ``alternative`` of
            one: arrays of shape (bins, bins).

        Raises
        ------
        ValueError
            The unfolding had no replicas.
        """
        if not self.replicas:
            raise ValueError(
                "a covariance needs replicas, found none: unfold with n_replicas of Unfolder, such as "
                '{"data": 50, "simulation": 10, "model": 5}'
            )
        if isinstance(columns, Mapping):
            binning: Any = Blocks(tuple(self._binning(name, own) for name, own in columns.items()))
        else:
            binning = self._binning(columns, bins)
        of_source: dict[str, list[Array]] = {}
        for replica in self.replicas:
            events = self.columns if replica.events is None else replica.events
            of_source.setdefault(replica.source, []).append(binning.counts(events, replica.weights))
        return Covariance.of(binning, binning.counts(self.columns, self.weights), of_source)

    def to_yaml(self, path: Any, bins: Any = None, units: Mapping[str, str] | None = None) -> None:
        """Write histograms and their covariances as tables for HEPData: a folder with ``submission.yaml``.

        Parameters
        ----------
        path : path
            Folder, made if it is not there.
        bins : mapping from column name to bins, optional
            See :meth:`histogram`; all columns of numbers by default.
        units : mapping from column name to str, optional
            Written on the axes.
        """
        for name, given in (("bins", bins), ("units", units)):
            if given is not None and not isinstance(given, Mapping):
                raise TypeError(f"{name} must be a mapping from column name to its {name}, found {given!r}")
            for column in given or {}:
                if column not in self.columns.names:
                    known = ", ".join(self.columns.names)
                    raise ValueError(f"{name} names the column {column!r}, which there is not; the columns are {known}")
        wanted = dict.fromkeys(self._numeric(), 30) if bins is None else dict(bins)
        write_tables(Path(path), self, wanted, units or {})

    def to_parquet(self, path: Any) -> None:
        """Write the events with ``weight``, ``measured_row`` and the weights of replicas, ``weight_data_0`` ...

        Replicas with events of their own follow as further rows; the column ``member`` tells them apart.
        """
        write_weights(Path(path), self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to one file, without pickle: :func:`buff.load` reads it, with all that it can draw and tell.

        The simulated and the measured events are in it, the fitted Unfolder is not.
        """
        write_archive(path, self.to_archive())

    def to_archive(self) -> Archive:
        """Everything that makes the result, as JSON and arrays."""
        return archive_of_result(self)

    @classmethod
    def from_archive(cls, archive: Archive) -> UnfoldingResult:
        """Inverse of :meth:`to_archive`; what does not fit together raises an error."""
        return cls(**parts_of_result(archive))

    def plot_unfolded(
        self, column: str | int, bins: BinsLike = 30, *, truth: TableLike | None = None, **style: Any
    ) -> Any:
        """Unfolded, simulated and measured distribution, with the ratio to the truth.

        The band is the total error of the replicas, where there are some, else the Poisson error of the weights: of the
        measured events, or of the simulated ones for ``"reweight"``. The legend says which.

        Parameters
        ----------
        column : str or int
        bins : int or array of edges
        truth : array of shape (bins,), optional
            Events in each bin that there should be, where known.
        **style
            Such as ``unit``, ``log``, ``labels`` or ``experiment`` of :func:`buff.plotting.unfolded_spectrum`.
        """
        from buff.plotting import unfolded_spectrum

        binning = self._binning(column, bins)
        simulation, name = self.simulation, binning.names[0]
        scale = self.weights.sum() / simulation.weights.sum()
        given: dict[str, Any] = {"prior": binning.counts(simulation.truth, simulation.weights * scale), "truth": truth}
        if name in self.measured.reco.names:
            given["reco"] = binning.counts(self.measured.reco, self.signal)
        if self.replicas:
            covariance = self.covariance(name, binning.edges[0])
            given |= {"covariance": covariance.total, **covariance.replicas}
        labels = {"band": self._error_name(), **(style.pop("labels", None) or {})}
        error = np.sqrt(self._poisson(binning))
        counts = binning.counts(self.columns, self.weights)
        return unfolded_spectrum(binning.edges[0], counts, error=error, name=name, labels=labels, **given, **style)

    def plot_refolded(self, column: str | int, bins: BinsLike = 30, **style: Any) -> Any:
        """What the unfolded events give at detector level beside the measured signal, with their ratio.

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
        from buff.metrics import migration_matrix
        from buff.plotting import migration

        binning, s = self._binning(column, bins), self.simulation
        name = binning.names[0]
        if name not in s.reco.names:
            raise ValueError(f"reco has no column {name!r}, only {', '.join(s.reco.names)}: a migration needs both")
        truth, reco = (table.arrays[table.names.index(name)][: s.n_matched] for table in (s.truth, s.reco))
        found = migration_matrix(truth, reco, binning.edges[0], weights=s.matched_weights)
        return migration(found.probability, binning.edges[0], name=name, **style)

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

    def _binning(self, columns: Any, bins: BinsLike) -> Binning:
        return Binning.of(self.columns, self.weights, columns, bins)

    def _variance(self, binning: Binning) -> Array:
        if self.replicas:
            return np.asarray(np.diag(self.covariance(list(binning.names), list(binning.edges)).total))
        return self._poisson(binning)

    def _poisson(self, binning: Binning) -> Array:
        source = self.simulation.of_kind[0] if self.method == "reweight" else self.measured.of_data
        return source.inflation * binning.variances(self.columns, self.weights, self.measured_rows)

    def _error_name(self) -> str:
        if self.replicas:
            sources = [SPOKEN.get(source, source) for source in dict.fromkeys(r.source for r in self.replicas)]
            lines = [", ".join(sources[i : i + 3]) for i in range(0, len(sources), 3)]
            return "error of replicas: " + ",\n".join(lines)
        return f"Poisson error, {'simulated' if self.method == 'reweight' else 'measured'} weights"

    def _numeric(self) -> list[str]:
        pairs = zip(self.columns.names, self.columns.arrays, strict=True)
        return [name for name, values in pairs if values.dtype.kind in "biuf"]

    @classmethod
    def of(
        cls,
        method: str,
        unfolded: Unfolded,
        replicas: tuple[Replica, ...],
        diagnostics: Diagnostics,
        outside: Mask,
        simulation: Simulation,
        measured: Measured,
    ) -> UnfoldingResult:
        """From the parts of an unfolding."""
        made = (unfolded.events, unfolded.weights, unfolded.rows, replicas, unfolded.history)
        return cls(method, *made, diagnostics, outside, simulation, measured, unfolded.signal, unfolded.refolded)
