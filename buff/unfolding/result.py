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
from buff.metrics.chi2 import ChiSquared, chi_squared
from buff.protocols import Array, BinsLike, Mask, Values
from buff.tables import Columns
from buff.unfolding.binning import Binning, Blocks, Covariance, from_differences
from buff.unfolding.diagnostics import Diagnostics
from buff.unfolding.events import Simulation
from buff.unfolding.export import write_weights
from buff.unfolding.figures import Figures
from buff.unfolding.hepdata import checked_columns, write_tables
from buff.unfolding.iterations import History
from buff.unfolding.members import Measured, Unfolded
from buff.unfolding.normalised import Normalised, checked_truth
from buff.unfolding.replicas import Replica, told_errors
from buff.unfolding.response import Response
from buff.unfolding.settings import SOURCES, SPOKEN
from buff.unfolding.stored_result import archive_of_result, parts_of_result

__all__ = ["Diagnostics", "Replica", "UnfoldingResult"]


@dataclass(frozen=True, eq=False, repr=False)
class UnfoldingResult(Figures):
    """Unfolded events; prints as what was done, the iterations and the diagnostics.

    Attributes
    ----------
    method : str
    events : table of shape (n, p)
        Truth, in the container that was fitted: draws for the measured events, or simulated events: those that pass
        both cuts, then those that pass at truth level only, in the order given.
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
    further : array of shape (n,) or None
        Weights after further iterations, twice as many, and ten at least where their number was not asked for: the
        difference is a source of the errors. None for one iteration, such as
        that of ``"conditional"``, or where one diverged.
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
    further: Array | None = None

    def __repr__(self) -> str:
        counted = Counter(SPOKEN.get(replica.source, replica.source) for replica in self.replicas)
        replicas = ", ".join(f"{n} of {source}" for source, n in counted.items()) or "none"
        head = f"UnfoldingResult({self.method}: {len(self.columns):,} rows, {self.weights.sum():,.6g} truth events"
        return f"{head}; replicas: {replicas})\n{self.history!r}\n{self.diagnostics}\n{self.errors}"

    @property
    def errors(self) -> str:
        """What the errors of histograms and figures hold, and what not: a sentence."""
        background, further = bool(self.measured.of_background.values.any()), self.further is not None
        return told_errors(self.replicas, self.method, background, further)

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
            ``"reweight"``), with the differences of alternatives and of further iterations.

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
        view.variance = np.diag(self._uncertainty(binning)[0]).reshape(binning.shape)
        return h

    def response(self, column: str | int, bins: BinsLike = 30) -> Response:
        """Efficiency, fakes, purity and stability of the bins of a column, of the simulated events.

        Parameters
        ----------
        column : str or int
            Of truth and of reco.
        bins : int or array of edges

        Raises
        ------
        ValueError
            A column that is at truth level only.
        """
        binning = self._binning(column, bins)
        return Response.of(self.simulation, binning.names[0], binning.edges[0])

    def beyond(self, columns: str | int | Sequence[str | int], bins: BinsLike = 30) -> float:
        """Events at truth level that lie in no bin of :meth:`histogram`."""
        return self._binning(columns, bins).beyond(self.columns, self.weights)

    def covariance(
        self, columns: str | int | Sequence[str | int] | Mapping[str, BinsLike], bins: BinsLike = 30
    ) -> Covariance:
        """Covariance of the bins of :meth:`histogram`, by source.

        Each is the covariance of the replicas of that source about their mean. Those of the simulation keep the seeds
        of the result, those of the model (other seeds) its events, so that the three are independent and add up. An
        alternative simulation adds its difference times itself, all bins move together, and so do further iterations:
        what is left of the prior, or of noise that they amplify. A warning says where no source has as many replicas as
        a chi-squared of the bins needs.

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
            ``total`` and ``correlation`` of all sources, ``data``, ``simulation``, ``model``, ``alternative`` and
            ``regularisation`` of one: arrays of shape (bins, bins).

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
        return Covariance.of(binning, binning.counts(self.columns, self.weights), self._shaken(binning))

    def sigmas(self, columns: str | int | Sequence[str | int], bins: Any = 30) -> dict[str, Array]:
        """Errors of the bins of :meth:`histogram` by source; the squares add up to its variances.

        ``"statistics"`` is the Poisson fluctuation of the weights, where there are no replicas.
        """
        parts, _ = self._sources(self._binning(columns, bins))
        return {source: np.sqrt(np.diag(matrix)) for source, matrix in parts.items()}

    def chi2(self, column: str | int, bins: BinsLike, truth: Values, truth_error: Values | float = 0.0) -> ChiSquared:
        """Chi-squared of the bins of :meth:`histogram` against a truth, as :meth:`plot_unfolded` writes it.

        Parameters
        ----------
        column : str or int
        bins : int or array of edges
        truth, truth_error : array of shape (bins,)
            Events that there should be, and their errors, taken as independent: a truth of the measured events
            themselves, as of pseudo-data, makes the chi-squared small.

        Raises
        ------
        ValueError
            Another shape, fewer replicas than bins and 3.
        """
        binning = self._binning(column, bins)
        matrix, replicas = self._uncertainty(binning)
        counts = binning.counts(self.columns, self.weights)
        expected, error = checked_truth(truth, truth_error, counts.shape)
        return chi_squared(counts - expected, matrix, extra=error**2, n_replicas=replicas.get("n_replicas"))

    def normalised(self, columns: str | int | Sequence[str | int], bins: Any = 30) -> Normalised:
        """Normalised differential cross section, with covariances by source, as for :meth:`histogram`.

        Its errors are no ratios of those of the histogram: bins of a distribution of unit area pull each other.
        """
        binning = self._binning(columns, bins)
        sources, replicas = self._sources(binning)
        counts = binning.counts(self.columns, self.weights)
        return Normalised.of(binning, counts, sources, replicas.get("n_replicas"))

    def to_yaml(
        self,
        path: Any,
        bins: Any = None,
        units: Mapping[str, str] | None = None,
        keywords: Mapping[str, Sequence[Any]] | None = None,
        normalise: bool = False,
    ) -> None:
        """Write histograms and their covariances as tables for HEPData: a folder with ``submission.yaml``.

        Each table has events a bin and densities, with the errors of each source; columns that reco has, too, have
        :meth:`response` and migration. The bin of a spike has no density ("-"), as in figures: see
        :func:`buff.metrics.histograms.narrow_bins`.

        Parameters
        ----------
        path : path
            Folder, made if it is not there.
        bins : mapping from column name, or a tuple of these, to bins, optional
            See :meth:`histogram`: ``{"mass": edges, ("mass", "pt"): [edges, pt_edges]}``, where columns together are
            one table with an axis each; all columns of numbers by default.
        units : mapping from column name to str, optional
            Written on the axes.
        keywords : mapping from str to sequence, optional
            Of all tables, beside ``observables``: ``{"reactions": ["P P --> JET X"], "cmenergies": [13000.0]}``.
        normalise : bool
            Write :meth:`normalised` cross sections and their covariances, too.
        """
        checked_columns(self.columns.names, bins=bins, units=units)
        pairs = zip(self.columns.names, self.columns.arrays, strict=True)
        numeric = {name: 30 for name, values in pairs if values.dtype.kind in "biuf"}
        write_tables(Path(path), self, numeric if bins is None else bins, units or {}, keywords or {}, normalise)

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

    def _binning(self, columns: Any, bins: BinsLike) -> Binning:
        return Binning.of(self.columns, self.weights, columns, bins)

    def _shaken(self, binning: Any) -> dict[str, list[Array]]:
        """Counts of each replica, and after further iterations, by source."""
        found: dict[str, list[Array]] = {}
        for replica in self.replicas:
            events = self.columns if replica.events is None else replica.events
            found.setdefault(replica.source, []).append(binning.counts(events, replica.weights))
        if self.further is not None:
            found["regularisation"] = [binning.counts(self.columns, self.further)]
        return found

    def _uncertainty(self, binning: Binning) -> tuple[Array, dict[str, Any]]:
        """Total covariance and, where there are any, numbers of replicas as the figures take them."""
        parts, replicas = self._sources(binning)
        return np.asarray(sum(parts.values())), replicas

    def _sources(self, binning: Binning) -> tuple[dict[str, Array], dict[str, Any]]:
        """The same by source; the Poisson fluctuation of the weights stands for those that have replicas."""
        if any(replica.source in SOURCES for replica in self.replicas):
            covariance = self.covariance(list(binning.names), list(binning.edges))
            return dict(covariance.of_source), covariance.replicas
        parts, counts = {"statistics": np.diag(self._poisson(binning))}, binning.counts(self.columns, self.weights)
        for source, shaken in self._shaken(binning).items():
            parts[source] = from_differences(source, counts, shaken)
        return parts, {}

    def _poisson(self, binning: Binning) -> Array:
        source = self.simulation.of_kind[0] if self.method == "reweight" else self.measured.of_data
        return source.inflation * binning.variances(self.columns, self.weights, self.measured_rows)

    def _error_name(self) -> str:
        found = dict.fromkeys(replica.source for replica in self.replicas)
        sources = [SPOKEN.get(source, source) for source in found]
        if not set(found) & set(SOURCES):
            sources.insert(0, f"Poisson of {'simulated' if self.method == 'reweight' else 'measured'} weights")
        sources += ["regularisation"] if self.further is not None else []
        return "error: " + ",\n".join(", ".join(sources[i : i + 3]) for i in range(0, len(sources), 3))

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
        more = (unfolded.signal, unfolded.refolded, unfolded.further)
        return cls(method, *made, diagnostics, outside, simulation, measured, *more)
