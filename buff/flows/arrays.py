"""Scores in, fitted flow out: a fit by one function."""

from buff.flows.data import NOISE, FlowMatchingData, Source
from buff.flows.fit import FlowSettings, train_flow
from buff.flows.model import FlowModel
from buff.protocols import Array

__all__ = ["fit_flow"]


def fit_flow(
    x1: Array | tuple[Array, Array],
    settings: FlowSettings | None = None,
    *,
    condition: Array | None = None,
    sample_weight: Array | None = None,
    source: Source = NOISE,
    calibrated: Array | None = None,
    seed: int | None = None,
) -> FlowModel:
    r"""Learn the flow from a source to the rows of ``x1``, given their conditions.

    At each time t of the solver's nodes the velocity :math:`u(x, t, c) = E[x_1 - x_0 \mid x_t = x, c]`, with
    :math:`x_t = t x_1 + (1 - t) x_0`, is its best linear part in closed form plus trees (conditional flow matching,
    Lipman et al., 2022, arXiv:2210.02747).

    Parameters
    ----------
    x1 : array of shape (n, d), or pair of such arrays
        Scores of about unit width. A pair (low, high) of normal scores spans the ranks that repeated values own: each
        noise draw places the row anew between them, uniformly in rank (uniform dequantization).
    settings : FlowSettings
    condition : array of shape (n, c), optional
        Features of about unit width.
    sample_weight : array of shape (n,), optional
        Not negative; rows of weight 0 are left out.
    source : Source
        Where the flow starts; standard normal noise unless told otherwise.
    calibrated : bool array of shape (d,), optional
        Scores whose marginals are made standard normal in the end, for less than 5,000 rows without condition: see
        :class:`~buff.flows.MarginalCalibration`.
    seed : int, optional
        Of the training; None asks the operating system (with a ``cache_dir``, the data and settings decide).

    Returns
    -------
    FlowModel
        With ``records`` of its nodes and the ``cost`` that was expected.

    Raises
    ------
    ValueError
        Shapes that do not agree, values that are not finite.
    MemoryError
        The fit needs more than ``settings.max_memory``.

    Examples
    --------
    >>> import numpy as np
    >>> from buff.flows import SampleRequest
    >>> rng = np.random.default_rng(0)
    >>> c = rng.standard_normal((500, 1)).astype(np.float32)
    >>> x1 = (c + 0.1 * rng.standard_normal((500, 1))).astype(np.float32)
    >>> model = fit_flow(x1, FlowSettings(n_steps=4, noise_budget=5_000), condition=c, seed=0)
    >>> x = model.sample(SampleRequest(1000, seed=1, condition=np.full((1, 1), 2.0, np.float32)))
    >>> bool(abs(x.mean() - 2) < 0.1)
    True
    """
    data = FlowMatchingData.of(x1, condition, sample_weight, source)
    return train_flow(data, settings or FlowSettings(), calibrated=calibrated, seed=seed)
