"""What fitted generators offer beyond tables: single events, C++ and ONNX, what they run on."""

import os
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from buff.flows import MixtureModel, SampleRequest
from buff.protocols import Array, RandomState

if TYPE_CHECKING:
    from buff.export import EventSampler
    from buff.flows import ReproducibleLinear
    from buff.transforms import ConditionEncoder, TableTransformer

__all__ = ["Deployable", "DeployablePairs"]


class Deployable:
    """Single events and exports of a generator."""

    if TYPE_CHECKING:
        model_: Any
        space_: Any
        _encoder: ConditionEncoder | None
        _class_spaces: tuple[TableTransformer, ...]

        def _sampling_seed(self, random_state: RandomState) -> int: ...
        def _condition_features(self, condition: Any) -> Array | None: ...

    @property
    def backend_(self) -> str:
        """What draws events: instructions of the compiled kernels, or ``"xgboost"`` and why."""
        check_is_fitted(self)
        return ", ".join(sorted({model.backend for model in self._flows()}))

    @property
    def trees_(self) -> str:
        """How trees are kept: as plain arrays of bytes, or in XGBoost's own format where bytes cannot hold them."""
        check_is_fitted(self)
        flows = self._flows()
        unfit, nodes = sum(flow.unfit_trees for flow in flows), sum(len(flow.records) for flow in flows)
        if not unfit:
            return "plain arrays"
        return f"{unfit} of {nodes} nodes in XGBoost's format: over 8 levels, or over 255 cuts of a feature"

    def _flows(self) -> tuple[Any, ...]:
        return self.model_.models if isinstance(self.model_, MixtureModel) else (self.model_,)

    def request(self, n: int, *, condition: Any = None, random_state: RandomState = None) -> SampleRequest:
        """What ``sample`` asks of the flow: numbers of events, features of conditions."""
        check_is_fitted(self)
        return SampleRequest(n, self._sampling_seed(random_state), condition=self._condition_features(condition))

    @property
    def condition_encoder_(self) -> "ConditionEncoder | None":
        """From conditions to features; None without a condition."""
        check_is_fitted(self)
        return self._encoder

    @property
    def class_spaces_(self) -> "tuple[TableTransformer, ...]":
        """The map between table and scores of each class, or of all rows."""
        check_is_fitted(self)
        return self._class_spaces or (self.space_,)

    def sampler(self, random_state: RandomState = None) -> "EventSampler":
        """A small, thread-safe object that draws single events, for event loops.

        ``sampler.draw(i, condition)`` is event i of ``sample`` with the same random state, without tables.

        Parameters
        ----------
        random_state : None, int or NumPy generator
            As in ``sample``.

        Raises
        ------
        ExportError
            The model has a column or a solver that no sampler can do.
        """
        from buff.export import EventSampler

        check_is_fitted(self)
        return EventSampler(self, self._sampling_seed(random_state))

    def export(self, directory: str | os.PathLike[str], format: str = "cpp") -> None:
        """Write the sampler for C++ (headers and a model file) or ONNX; see :func:`buff.export.export_model`.

        Parameters
        ----------
        directory : path
        format : {"cpp", "onnx"}
        """
        from buff.export import export_model

        check_is_fitted(self)
        export_model(self, directory, format)


class DeployablePairs:
    """What exports of a transport need to know of it."""

    if TYPE_CHECKING:
        _encoder: ConditionEncoder | None
        _prediction: ReproducibleLinear | None
        _source: ConditionEncoder | None
        _source_space: TableTransformer | None

    @property
    def starts_at_source_(self) -> bool:
        """Whether the flow starts at the source, or where it says; else the source is a condition of the flow."""
        check_is_fitted(self)
        return self._source_space is not None or self._prediction is not None

    @property
    def feature_encoders_(self) -> "tuple[ConditionEncoder, ...]":
        """From tables to the features that the flow is given, one after another."""
        encoders = (None if self.starts_at_source_ else self._source, self._encoder)
        return tuple(encoder for encoder in encoders if encoder is not None)
