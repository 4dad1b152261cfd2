"""Base classes of scikit-learn with types: without them, misspelt names of models pass type checkers."""

from typing import TYPE_CHECKING, Any, Self

__all__ = ["BaseEstimator", "TransformerMixin"]

if TYPE_CHECKING:

    class BaseEstimator:
        """What :class:`sklearn.base.BaseEstimator` gives, and validation sets."""

        n_features_in_: int
        feature_names_in_: Any

        @classmethod
        def _get_param_names(cls) -> list[str]: ...
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def __sklearn_tags__(self) -> Any: ...

    class TransformerMixin:
        """What :class:`sklearn.base.TransformerMixin` gives."""

        def fit_transform(self, *args: Any, **kwargs: Any) -> Any: ...
        def set_output(self, *, transform: str | None = None) -> Self: ...
        def __sklearn_tags__(self) -> Any: ...

else:
    from sklearn.base import BaseEstimator, TransformerMixin
