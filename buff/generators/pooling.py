"""Results of several imputations as one."""

from dataclasses import dataclass

import numpy as np

from buff.protocols import Array, Numbers

__all__ = ["PooledEstimate", "pool_estimates"]


@dataclass(frozen=True)
class PooledEstimate:
    """An estimate over several imputations; scalars or arrays of one shape.

    Attributes
    ----------
    estimate : float or array
    variance : float or array
        Total, of the estimate.
    within, between : float or array
        Mean variance of the single estimates, and variance among them.
    dof : float or array
        Degrees of freedom of Student's t of (estimate - truth) / sqrt(variance).
    missing_information : float or array
        Share of the variance that is due to missing cells.
    """

    estimate: Array
    variance: Array
    within: Array
    between: Array
    dof: Array
    missing_information: Array

    def interval(self, level: float = 0.68) -> tuple[Array, Array]:
        """Ends of the central confidence interval of this level."""
        from scipy.stats import t

        half = t.ppf(0.5 * (1 + level), self.dof) * np.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def pool_estimates(estimates: Numbers, variances: Numbers) -> PooledEstimate:
    r"""Rubin's rules: one estimate with its uncertainty from those of m imputed tables.

    .. math:: \bar q = \frac1m \sum_i q_i, \quad \bar u = \frac1m \sum_i u_i, \quad
              b = \frac1{m - 1} \sum_i (q_i - \bar q)^2, \quad T = \bar u + \Big(1 + \frac1m\Big) b,

    with :math:`\nu = (m - 1) (1 + \bar u / ((1 + 1/m) b))^2` degrees of freedom (Rubin, 1987, "Multiple imputation for
    nonresponse in surveys", chapter 3). :math:`\lambda = (1 + 1/m) b / T` is the share due to missing cells.

    Parameters
    ----------
    estimates : array of shape (m, ...)
        A mean, a coefficient, a bin content ... of each table.
    variances : array of shape (m, ...)
        Squared standard errors, as if each table were complete.

    Raises
    ------
    ValueError
        Less than two imputations, shapes that differ, negative variances.

    Examples
    --------
    >>> pooled = pool_estimates([1.0, 1.2, 0.8], [0.01, 0.01, 0.01])
    >>> round(float(pooled.estimate), 3), round(float(pooled.variance), 4), round(float(pooled.dof), 1)
    (1.0, 0.0633, 2.8)
    """
    q, u = np.asarray(estimates, np.float64), np.asarray(variances, np.float64)
    if q.shape != u.shape or not q.ndim:
        raise ValueError(f"estimates and variances must have one shape (m, ...), found {q.shape} and {u.shape}")
    m = len(q)
    if m < 2:
        raise ValueError(f"at least two imputations are needed, found {m}: impute with n_imputations=5 or more")
    if (u < 0).any():
        raise ValueError(f"variances must not be negative, found {u.min()}")
    within, between = u.mean(axis=0), q.var(axis=0, ddof=1)
    extra = (1 + 1 / m) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        dof = np.where(extra > 0, (m - 1) * (1 + within / extra) ** 2, np.inf)
        share = np.where(total > 0, extra / total, 0.0)
    return PooledEstimate(q.mean(axis=0), total, within, between, dof, share)
