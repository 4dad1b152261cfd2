"""Uses of fitted generators beyond tables: single events, exports to C++ and ONNX, distillation, backends."""

import copy
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from sklearn.utils.validation import check_is_fitted

from buff.archive import Archive
from buff.errors import check_whole
from buff.flows import FlowModel, FlowSettings, MixtureModel, PatternedFlow, SampleRequest, distill, teaching_seed
from buff.generators.base import EventGenerator
from buff.generators.classes import stored_spaces, total_cost, with_spaces
from buff.generators.parameters import FlowEstimator
from buff.protocols import RandomState
from buff.transforms import TableTransformer

if TYPE_CHECKING:
    from buff.export import EventSampler
    from buff.flows import ReproducibleLinear
    from buff.transforms import ConditionEncoder

__all__ = ["Deployable", "DeployablePairs"]

#: Parameters of a student unless told otherwise: its targets carry no noise that leaves would have to average.
_STUDENT: dict[str, Any] = {
    "solver": "euler",
    "coupling": "independent",
    "n_estimators": 100,
    "max_depth": 9,
    "learning_rate": 0.3,
    "reg_lambda": 1.0,
    "cache_dir": None,
}


class Deployable(EventGenerator, FlowEstimator):
    """A generator of boosted flows, with single events, exports and students."""

    #: The map between table and normal scores of each class; none where all share one.
    _class_spaces: tuple[TableTransformer, ...] = ()

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

    def _flows(self) -> tuple[FlowModel | PatternedFlow, ...]:
        return self.model_.models

    def request(self, n: int, *, condition: Any = None, random_state: RandomState = None) -> SampleRequest:
        """What ``sample`` asks of the flow: numbers of events, features of conditions."""
        check_is_fitted(self)
        return SampleRequest(n, self._sampling_seed(random_state), condition=self._condition_features(condition))

    @property
    def class_spaces_(self) -> tuple[TableTransformer, ...]:
        """The map between table and scores of each class, or of all rows."""
        check_is_fitted(self)
        return self._class_spaces or (self.space_,)

    def to_archive(self) -> Archive:
        return with_spaces(super().to_archive(), self._class_spaces)

    def _load(self, archive: Archive) -> None:
        super()._load(archive)
        self._class_spaces = stored_spaces(archive)

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

    def distill(
        self,
        n_steps: int = 2,
        *,
        method: str = "velocity",
        n_samples: int = 300_000,
        random_state: RandomState = None,
        **parameters: Any,
    ) -> Self:
        """A student that draws like this model in ``n_steps`` field evaluations, trained on its trajectories.

        See :func:`buff.flows.distill` for what it learns. The teacher's map is a function, so that targets carry no
        noise: students take large trees and learn from as many trajectories as wished. They save evaluations, not
        always time: their trees are larger than those of the teacher. ``coupling="transport"`` with few steps is the
        other way to draw faster.

        Parameters
        ----------
        n_steps : int
            Field evaluations of the student.
        method : {"velocity", "reflow"}
        n_samples : int
            Trajectories to learn from, for each class that has a flow of its own; conditional models draw conditions
            like those of their training.
        random_state : None, int or NumPy generator
            Of the trajectories and of the student; None takes that of the teacher.
        **parameters
            In which the student differs from its default: ``n_estimators=100``, ``max_depth=9``,
            ``learning_rate=0.3``, ``reg_lambda=1.0`` and what else the teacher has.

        Returns
        -------
        BUFF
            Fitted: same schema, conditions, ``sample`` and ``save``. With the teacher's seed its event i is that of the
            teacher, as well as it has learned; it learns from other events.

        Raises
        ------
        ValueError, TypeError
            Unknown method or parameter, too few samples, a solver other than Euler's.

        Examples
        --------
        >>> import numpy as np
        >>> from buff import BUFF
        >>> X = np.random.default_rng(0).exponential(size=(500, 2))
        >>> teacher = BUFF(noise_budget=5_000, random_state=0).fit(X)
        >>> student = teacher.distill(1, n_samples=2_000, n_estimators=20)
        >>> len(student.nodes_), student.sample(3).shape
        (1, (3, 2))
        """
        check_is_fitted(self)
        if "noise_budget" in parameters:
            raise ValueError("noise_budget is none of a student's parameters: n_samples says how many rows it sees")
        n = check_whole("n_samples", n_samples, 10)
        student = copy.copy(self).set_params(**_STUDENT | {"n_steps": n_steps} | parameters, noise_budget=n)
        if random_state is not None:
            student.set_params(random_state=random_state)
        settings, student._seed = student.flow_settings, self._sampling_seed(random_state)
        options: dict[str, Any] = {"method": method, "n_samples": n, "seed": student._seed}
        if isinstance(self.model_, MixtureModel):
            if self.model_.classes.columns:
                raise ValueError(
                    "a model with classes= of some columns of its condition has no student: fit it without"
                )
            flows = tuple(_distilled(model, settings, **options) for model in self.model_.models)
            student._set_model(replace(self.model_, models=flows), total_cost(flows))
        else:
            _, features, _ = self._conditions(n, None, teaching_seed(student._seed), 0)
            model = _distilled(self.model_, settings, condition=features, **options)
            student._set_model(model, model.cost)
        return student


def _distilled(model: FlowModel | PatternedFlow, settings: FlowSettings, **options: Any) -> FlowModel | PatternedFlow:
    if isinstance(model, PatternedFlow):
        return model.distilled(settings, **options)
    return distill(model, settings, **options)


class DeployablePairs:
    """What exports of a transport need to know of it."""

    if TYPE_CHECKING:
        _encoder: ConditionEncoder | None
        _prediction: ReproducibleLinear | None
        _source: ConditionEncoder | None
        _source_space: TableTransformer | None

    @property
    def source_encoder_(self) -> "ConditionEncoder | None":
        """From rows of the source to features; None of unpaired tables."""
        check_is_fitted(self)
        return self._source

    @property
    def prediction_(self) -> "ReproducibleLinear | None":
        """Where flows without noise start, from the features of source and condition."""
        check_is_fitted(self)
        return self._prediction

    @property
    def is_unpaired_(self) -> bool:
        """Whether flows start at scores of the source."""
        check_is_fitted(self)
        return self._source_space is not None

    @property
    def starts_at_source_(self) -> bool:
        """Whether the flow starts at the source or at its linear prediction; otherwise the source is a condition."""
        check_is_fitted(self)
        return self._source_space is not None or self._prediction is not None

    @property
    def feature_encoders_(self) -> "tuple[ConditionEncoder, ...]":
        """From tables to the features that the flow is given, one after another."""
        encoders = (None if self.starts_at_source_ else self._source, self._encoder)
        return tuple(encoder for encoder in encoders if encoder is not None)
