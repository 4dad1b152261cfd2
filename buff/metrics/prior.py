"""How much of the simulation's prior is left in an unfolded result."""

from __future__ import annotations

from math import nan, sqrt

import numpy.typing as npt

from buff.metrics.estimate import Estimate, weighted_mean
from buff.metrics.samples import as_pair, as_weights

__all__ = ["prior_bias"]


def prior_bias(
    simulation: npt.ArrayLike,
    nature: npt.ArrayLike,
    unfolded: npt.ArrayLike,
    *,
    simulation_weights: npt.ArrayLike | None = None,
    nature_weights: npt.ArrayLike | None = None,
    unfolded_weights: npt.ArrayLike | None = None,
) -> tuple[Estimate, ...]:
    r"""Share of the difference between simulation and nature that unfolding leaves in the means, for every column.

    .. math:: b = \frac{E[x_\mathrm{unfolded}] - E[x_\mathrm{nature}]}{E[x_\mathrm{simulation}] - E[x_\mathrm{nature}]}

    0 if the result does not depend on the prior that was simulated, 1 if it is that prior, as with a blind detector;
    beyond, if it is over-corrected or unstable. One step with a normal truth of width :math:`\sigma` and a detector of
    normal resolution s leaves :math:`b = s^2 / (\sigma^2 + s^2)`. Measured by training on one simulation and unfolding
    another, which stands for nature; columns may be any function of the events, such as "is in bin 3".

    Errors are propagated to first order and take the samples as independent: if nature and unfolded come from the same
    events they are too large rather than too small. With a shift of less than three of its errors b means little; it is
    nan where there is none.

    Parameters
    ----------
    simulation : array-like of shape (n, d) or (n,)
        Truth of the simulation trained on.
    nature : array-like of shape (m, d) or (m,)
        Truth of the sample whose reco was unfolded.
    unfolded : array-like of shape (k, d) or (k,)
        The result.
    simulation_weights, nature_weights, unfolded_weights : array-like, optional
        Event weights of either sign, with a positive sum.

    Returns
    -------
    tuple of Estimate
        One a column; the floor is 0.

    Raises
    ------
    ValueError
        If the columns differ in number.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> simulation, nature, unfolded = (rng.normal(mean, size=20_000) for mean in (0.0, 1.0, 0.8))
    >>> print(prior_bias(simulation, nature, unfolded)[0])
    0.204 ± 0.009
    """
    s, n = as_pair(simulation, nature, names=("simulation", "nature"))
    _, u = as_pair(simulation, unfolded, names=("simulation", "unfolded"))
    weights = (
        as_weights(simulation_weights, len(s), "simulation_weights"),
        as_weights(nature_weights, len(n), "nature_weights"),
        as_weights(unfolded_weights, len(u), "unfolded_weights"),
    )
    columns = zip(s.T, n.T, u.T, strict=True)
    return tuple(_share(*(weighted_mean(x, w) for x, w in zip(three, weights, strict=True))) for three in columns)


def _share(simulation: Estimate, nature: Estimate, unfolded: Estimate) -> Estimate:
    shift = simulation.value - nature.value
    if shift == 0:
        return Estimate(nan, nan)
    b = (unfolded.value - nature.value) / shift
    error = sqrt(unfolded.error**2 + ((1 - b) * nature.error) ** 2 + (b * simulation.error) ** 2) / abs(shift)
    return Estimate(b, error)
