"""Unfolded distributions of unit area."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from buff.metrics.chi2 import ChiSquared, chi_squared, normalised_covariance
from buff.protocols import Array, Values
from buff.unfolding.binning import Binning

__all__ = ["Normalised", "checked_truth"]


@dataclass(frozen=True, eq=False, repr=False)
class Normalised:
    r"""Normalised differential cross section in bins: their shares of the events in all bins, by their widths.

    .. math:: \frac{1}{\sigma} \frac{\mathrm{d}\sigma}{\mathrm{d}x} = \frac{p_i}{\Delta_i}, \quad p_i = \frac{n_i}{N},
              \qquad C_p = J C J^T, \quad J_{ij} = \frac{\delta_{ij} - p_i}{N}

    with :math:`N = \sum_i n_i`: what lies beyond the bins does not count. Covariances are of first order in the errors
    and lack a rank, as the shares sum to 1; a luminosity or another common factor drops out. Prints as a table.

    Attributes
    ----------
    binning : Binning
    shares : array of shape (b,)
        Numbered as in a C array where there are several columns, as below.
    values : array of shape (b,)
        Shares by the widths of the bins, in units of 1 / unit of the column. Those of a spike depend on the width that
        was chosen: tables and figures show its share.
    share_covariances : mapping from source to array of shape (b, b)
        Of the shares, see :attr:`buff.unfolding.Covariance.of_source`; ``"statistics"`` is the Poisson fluctuation of
        the weights, where there are no replicas.
    of_source : mapping from source to array of shape (b, b)
        Covariances of the values.
    total : array of shape (b, b)
        Of all sources together.
    n_replicas : float or None
        See :attr:`buff.unfolding.Covariance.n_replicas`; None without.
    """

    binning: Binning
    shares: Array
    share_covariances: Mapping[str, Array]
    n_replicas: float | None = None

    @classmethod
    def of(
        cls, binning: Binning, counts: Array, sources: Mapping[str, Array], n_replicas: float | None
    ) -> "Normalised":
        """From contents and their covariances; ValueError without any event in the bins."""
        if not counts.sum() > 0:
            raise ValueError(f"no unfolded events in the bins of {', '.join(binning.names)}: there is no share of them")
        covariances = {source: normalised_covariance(counts, matrix) for source, matrix in sources.items()}
        return cls(binning, counts / counts.sum(), covariances, n_replicas)

    @property
    def values(self) -> Array:
        """See the attributes of the class."""
        return self.shares / self.binning.widths

    @property
    def of_source(self) -> dict[str, Array]:
        """See the attributes of the class."""
        area = np.outer(self.binning.widths, self.binning.widths)
        return {source: matrix / area for source, matrix in self.share_covariances.items()}

    @property
    def total(self) -> Array:
        """See the attributes of the class."""
        return np.asarray(sum(self.of_source.values()))

    @property
    def sigmas(self) -> dict[str, Array]:
        """Errors of the values by source."""
        return {source: np.sqrt(np.diag(matrix)) for source, matrix in self.of_source.items()}

    def chi2(self, truth: Values, truth_error: Values | float = 0.0) -> ChiSquared:
        """Chi-squared against the shape of a truth, with a degree of freedom less than bins.

        Parameters
        ----------
        truth, truth_error : array of shape (bins,)
            Events in each bin, or any multiple of these, and their errors.

        Raises
        ------
        ValueError
            Another shape, fewer replicas than bins and 3.
        """
        expected, error = checked_truth(truth, truth_error, self.shares.shape)
        matrix = np.asarray(sum(self.share_covariances.values()))
        known = normalised_covariance(expected, np.diag(error**2))
        return chi_squared(self.shares - expected / expected.sum(), matrix, extra=known, n_replicas=self.n_replicas)

    def __repr__(self) -> str:
        density = f"1/sigma dsigma/{''.join(f'd({name})' for name in self.binning.names)}"
        lines = [f"{' x '.join(self.binning.names):<30}{'share':>10}{'error':>10}{density:>26}{'error':>10}"]
        widths, sigma = self.binning.widths, np.sqrt(np.diag(self.total))
        places = product(*(pairwise(edges) for edges in self.binning.edges))
        for i, place in enumerate(places):
            where = " x ".join(f"{low:g} to {high:g}" for low, high in place)
            own = f"{self.shares[i]:>10.4f}{sigma[i] * widths[i]:>10.4f}"
            by = ("-", "-") if self.binning.narrow[i] else (f"{self.values[i]:.5g}", f"{sigma[i]:.2g}")
            lines.append(f"{where:<30}{own}{by[0]:>26}{by[1]:>10}")
        return "\n".join(lines)


def checked_truth(truth: Values, truth_error: Values | float, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Contents that bins should have, and their errors; ValueError for another shape."""
    for name, given in (("truth", truth), ("truth_error", truth_error)):
        found = np.shape(given)
        if found != shape and (found or name == "truth"):
            raise ValueError(f"{name} must have shape {shape}, one value a bin; found {found}")
    return np.asarray(truth, np.float64), np.broadcast_to(np.asarray(truth_error, np.float64), shape)
