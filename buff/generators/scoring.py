"""How good draws from conditional distributions are, as one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from buff.errors import check_rows, warn
from buff.generators.conditions import split_conditions
from buff.protocols import ConditionLike, TableLike, WeightsLike
from buff.tables import read, validate_data
from buff.transforms.conditions import read_any
from buff.transforms.transformer import checked_weights
from buff.transforms.unknown_values import scores_of_known

__all__ = ["ScoredEvents", "ScoredPairs"]

#: Draws of each row behind a score.
_DRAWS = 20
#: Width of the kernel that compares events, in normal scores and for each root of a dimension, and rows that it sees.
_WIDTH, _ROWS = 0.1, 5000
#: A distance at which the kernel is 0.
_FAR = 1000.0


def _has_pairs(model: Any) -> bool:
    return bool(model.coupling == "paired")


class ScoredEvents:
    """What lets searches compare generators of events."""

    def score(
        self: Any,
        X: TableLike,
        y: object = None,
        *,
        condition: ConditionLike = None,
        sample_weight: WeightsLike = None,
    ) -> float:
        r"""How alike generated and given rows are, for model selection: larger is better, 0 is perfect.

        The negative squared maximum mean discrepancy,

        .. math:: -\mathrm{MMD}^2 = 2\,E\,k(x, y) - E\,k(x, x') - E\,k(y, y'), \qquad
                  k(a, b) = \exp\left(-\frac{|a - b|^2}{2 h^2}\right),

        between the normal scores x of the rows of X and y of as many generated ones (:func:`buff.metrics.mmd`), with
        h = 0.1 times the root of their dimension: a proper score, since its expectation is largest for the true
        distribution (Gneiting, Raftery, 2007, doi:10.1198/016214506000001437). With a condition, one event is generated
        for each of its rows, and its features are compared too. Larger tables are thinned to 5,000 rows.
        A row with a label that was not seen when fitted is as far from all generated rows as can be.

        Parameters
        ----------
        X : table of shape (n, p)
            Rows that were not trained on.
        y : ignored
        condition : table of shape (n, c), name or list of names, optional
            Conditions of the rows, where the model has them; by default those columns of X that :meth:`fit` took.
        sample_weight : array of shape (n,), optional
            Event weights.

        Raises
        ------
        ValueError
            Without the condition of a conditional model, or with one that has another number of rows.

        Examples
        --------
        >>> from buff import BUFF
        >>> x = np.random.default_rng(0).normal(size=(2000, 1))
        >>> bent = np.hstack([x, x**2])
        >>> gaussian, trees = (BUFF(n_estimators=k, noise_budget=20_000, random_state=0) for k in (0, 12))
        >>> gaussian.fit(bent[:1000]).score(bent[1000:]) < trees.fit(bent[:1000]).score(bent[1000:]) < 0
        True
        """
        from buff.metrics import mmd

        check_is_fitted(self)
        X, condition = self._split(X, condition)
        validate_data(self, X, reset=False, skip_check_array=True)
        table = read_any(X, "x", "X")[0]
        features = self._condition_features(condition)
        if features is not None:
            check_rows(len(features), len(table))
        drawn = self.sample(len(table), condition=condition, random_state=0)
        tables = (self._reduction.reduce(t) for t in (table, read_any(drawn, "x", "X")[0]))
        (x, unknown, found), (z, *_) = (scores_of_known(self.space_, t) for t in tables)
        if features is not None:
            x, z = np.hstack([x, features]), np.hstack([z, features])
        weights = None if sample_weight is None else checked_weights(sample_weight, len(table))
        given = {"bandwidth": _WIDTH * np.sqrt(max(x.shape[1], 1)), "max_rows": _ROWS, "n_bootstrap": 0}
        if found:
            warn(_told(found, int(unknown.sum()), len(table)))
            x, z = (np.column_stack([t, _FAR * far]) for t, far in ((x, unknown), (z, np.zeros(len(z)))))
        # events that were generated for the conditions of weighted rows count as these do
        return -mmd(x, z, real_weights=weights, generated_weights=None if features is None else weights, **given).value

    def _split(self: Any, X: TableLike, condition: ConditionLike) -> tuple[Any, Any]:
        """The table without the columns of the condition, as :meth:`fit` takes them."""
        names = [] if self._encoder is None else list(self._encoder.names)
        if condition is None and names and set(names) < set(read(X).names):
            condition = names
        return split_conditions(X, condition)


def _told(found: Mapping[str, object], n_unknown: int, n: int) -> str:
    """Words for the values that no fit has seen."""
    own = ", ".join(f"{name} = {'missing' if value is None else repr(value)}" for name, value in found.items())
    return f"score: {n_unknown} of {n} rows hold values that were not seen when fitted ({own}): no drawn row is near"


class ScoredPairs:
    """What lets searches compare estimators of p(target | source)."""

    @available_if(_has_pairs)  # type: ignore[untyped-decorator]
    def score(
        self: Any,
        X: TableLike,
        y: TableLike,
        *,
        condition: ConditionLike = None,
        sample_weight: WeightsLike = None,
    ) -> float:
        """How good draws for rows with known targets are, for model selection: larger is better.

        The negative energy score of 20 draws a row, in normal scores of the target. For paired tables only.
        """
        from buff.metrics import energy_score

        check_is_fitted(self)
        target = read_any(y, "y", "y")[0]
        draws = self.sample(X, _DRAWS, condition=condition, random_state=0)
        z, x = (self.space_.transform(table) for table in (target, read_any(draws, "y", "y")[0]))
        if len(x) != _DRAWS * len(z):
            n = len(x) // _DRAWS
            raise ValueError(f"X has {n} rows and y has {len(z)}: a target for every source row is needed")
        weights = None if sample_weight is None else checked_weights(sample_weight, len(z))
        return energy_score(z, x.reshape(len(z), _DRAWS, -1), weights)
