"""Names and number of the columns that an estimator was fitted to, as scikit-learn keeps them."""

from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils import validation

from buff.tables.containers import named_columns, plain_array

__all__ = ["validate_data"]


def validate_data(estimator: Any, X: Any, *, reset: bool = True, skip_check_array: bool = True) -> Any:
    """:func:`sklearn.utils.validation.validate_data` without its look at the values, for any container.

    Sets ``n_features_in_`` and ``feature_names_in_``, or with ``reset=False`` compares them with ``X``.

    Raises
    ------
    ValueError
        Other columns than those of the fit.
    """
    named = named_columns(X)
    if named is not None:
        X = pa.table({name: np.empty(0) for name in named[1]})
    return validation.validate_data(estimator, plain_array(X), reset=reset, skip_check_array=skip_check_array)
