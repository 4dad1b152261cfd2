"""Atoms first, then a flow of the values given them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from buff.flows.conditional import ConditionalStandardizer
from buff.flows.cost import CostEstimate, NodeRecords
from buff.flows.data import NOISE, FlowMatchingData, Source
from buff.flows.distill import distill, teaching_seed
from buff.flows.fit import CALIBRATION_DRAWS, ENOUGH_ROWS, FlowSettings, MarginalCalibration, train_flow
from buff.flows.model import FlowModel
from buff.flows.patterns import AtomPatterns
from buff.grids import TimeGrid
from buff.kernels import ReproducibleLinear
from buff.protocols import Array, Indices, Mask, Numbers
from buff.randomness import EventNoise, SampleRequest, ScoreModel, seed_from, training_seed
from buff.records import joined, nested
from buff.solvers import Solver

__all__ = ["PATTERN_STREAM", "PatternedData", "PatternedFlow", "train_patterned"]

#: Stream of an event's random numbers that chooses its pattern.
PATTERN_STREAM = 2**31 + 2
#: Values that a column has to have for a calibration.
_FEWEST_VALUES = 200


@dataclass(frozen=True)
class PatternedData:
    """Rows of scores as patterns, and as values that a flow learns given them.

    Attributes
    ----------
    patterns : AtomPatterns
    classes : array of shape (n,)
        Pattern of each row.
    values : FlowMatchingData
    """

    patterns: AtomPatterns
    classes: Indices
    values: FlowMatchingData

    @classmethod
    def of(
        cls,
        x1: tuple[Array, Array],
        atoms: Sequence[Array],
        condition: Numbers | None = None,
        sample_weight: Array | None = None,
        source: Source = NOISE,
        has_missing: Sequence[bool] = (),
    ) -> "PatternedData | None":
        """Rows of pairs (low, high) of scores; None where there are no atoms to draw first."""
        if not any(len(atom) for atom in atoms):
            return None
        patterns = AtomPatterns.of(x1, atoms, sample_weight, condition, has_missing)
        if patterns is None:
            return None
        classes = patterns.classify(x1)
        features = _beside(patterns.features[classes], condition)
        values = FlowMatchingData.of(patterns.split(x1, classes), features, sample_weight, source)
        # patterns are no shift of the values, and atoms that stay in the flow have to stand where they are
        values = replace(values, standardizer=_identity(values))
        return cls(patterns, classes, values)


@dataclass(frozen=True, eq=False)
class PatternedFlow(ScoreModel):
    """A flow of values given the pattern of atoms, and the distribution of patterns.

    Attributes
    ----------
    patterns : AtomPatterns
    flow : FlowModel
        Conditional on the features of the pattern, and on further conditions after them.
    """

    patterns: AtomPatterns
    flow: FlowModel

    #: Why there is no velocity of the scores, and no map from events back to noise.
    no_field: ClassVar[str] = "this model draws atoms before it follows a field: fit one with atoms='apart'"
    no_latents: ClassVar[str] = "this model draws atoms before it follows a flow: fit with atoms='apart' for latents"

    @property
    def models(self) -> "tuple[PatternedFlow]":
        """The models of all classes: this one."""
        return (self,)

    def solved_by(self, solver: Solver | None, grid: TimeGrid | None) -> "PatternedFlow":
        """The same model, with another solver or grid of its flow."""
        return replace(self, flow=self.flow.solved_by(solver, grid))

    @property
    def n_dims(self) -> int:
        """Number d of scores."""
        return len(self.patterns.intervals)

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.flow.seed

    @property
    def backend(self) -> str:
        """What evaluates the trees, as of the flow."""
        return self.flow.backend

    @property
    def unfit_trees(self) -> int:
        """Nodes whose trees bytes cannot hold."""
        return self.flow.unfit_trees

    @property
    def records(self) -> NodeRecords:
        """Rounds, variance explained and seconds of every node."""
        return self.flow.records

    @property
    def cost(self) -> CostEstimate | None:
        """What the fit was expected to cost."""
        return self.flow.cost

    def draw(self, batch: SampleRequest) -> Array:
        """Scores of one batch of events, float64 of shape (n, d)."""
        own, classes = self._given(batch)
        return self.patterns.merge(self.flow.draw(own), classes)

    def trajectory(self, request: SampleRequest) -> Iterator[Array]:
        """Scores of all events at the start and after every step: patterns from the start, values on their way."""
        own, classes = self._given(request.batch(0, request.n))
        return (self.patterns.merge(state, classes) for state in self.flow.trajectory(own))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, bytes]]:
        """Record, arrays and trees as those of the flow, with the arrays of the patterns."""
        record, arrays, blobs = self.flow.to_arrays()
        return record, arrays | joined({"patterns": self.patterns.to_arrays()}), blobs

    @classmethod
    def from_arrays(
        cls, record: Mapping[str, Any], arrays: Mapping[str, Array], blobs: Mapping[str, bytes], device: str = "cpu"
    ) -> "PatternedFlow | FlowModel":
        """Inverse of :meth:`to_arrays`; a flow alone where there are no patterns."""
        flow = FlowModel.from_arrays(record, arrays, blobs, device)
        own = nested(arrays, "patterns")
        return cls(AtomPatterns.from_arrays(own), flow) if own else flow

    def distilled(self, settings: FlowSettings, **options: Any) -> "PatternedFlow":
        """A student with the same patterns: see :func:`buff.flows.distill`."""
        seed, n = options.get("seed"), options["n_samples"]
        seed = self.seed if seed is None else seed
        request, _ = self._given(SampleRequest(n, teaching_seed(seed), condition=options.pop("condition", None)))
        flow = distill(replace(self.flow, calibration=None), settings, condition=request.condition, **options)
        student = replace(self, flow=flow)
        bent = self.flow.calibration and self.flow.calibration.smooth
        return student if bent is None else student.calibrated(bent, settings.n_jobs)

    def calibrated(self, smooth: Array, n_jobs: int | None = None) -> "PatternedFlow":
        """The model with values that get their marginals back, as they are in events where they are on no atom.

        Parameters
        ----------
        smooth : bool array
            Of the learned scores, those to correct.
        """
        request = SampleRequest(CALIBRATION_DRAWS, seed_from(training_seed(self.seed)), n_jobs=n_jobs)
        own, classes = self._given(request)
        drawn, states = self.flow.sample(own), self.patterns.states[classes][:, self.patterns.learned]
        maps = [
            MarginalCalibration.of(column[state < 0] if bend else column, smooth[i : i + 1]).quantiles
            for i, (bend, column, state) in enumerate(zip(smooth, drawn.T[:, :, None], states.T, strict=True))
        ]
        calibration = MarginalCalibration(np.concatenate(maps, axis=1), smooth)
        return replace(self, flow=replace(self.flow, calibration=calibration))

    def _given(self, batch: SampleRequest) -> tuple[SampleRequest, Indices]:
        """The request of the flow, and the pattern of each event."""
        u = pattern_noise(batch)[:, 0]
        condition = batch.condition
        if condition is not None and len(condition) == 1:
            condition = np.broadcast_to(condition, (batch.n, condition.shape[1]))
        classes = self.patterns.draw(ndtr(u.astype(np.float64)), condition)
        return replace(batch, condition=_beside(self.patterns.features[classes], condition)), classes


def pattern_noise(batch: SampleRequest) -> Array:
    """The standard normal numbers (n, 1) that choose the patterns of events."""
    noise = EventNoise(batch.seed, batch.first_event, PATTERN_STREAM + batch.stream, batch.chosen, batch.words)
    return noise.normal(batch.n, 1)


def train_patterned(
    data: PatternedData, settings: FlowSettings, *, calibrated: Mask | None = None, seed: int | None = None
) -> PatternedFlow:
    """Fit the flow of the values.

    Parameters
    ----------
    data : PatternedData
    settings : FlowSettings
    calibrated : bool array of shape (d,), optional
        Scores whose values get their own marginals back in the end, for less than 5,000 rows without condition.
    seed : int, optional
        Of the training.
    """
    model = PatternedFlow(data.patterns, train_flow(data.values, settings, seed=seed))
    few = data.patterns.conditions is None and len(data.values) < ENOUGH_ROWS
    if calibrated is None or not few or all(node.trees is None for node in model.flow.nodes):
        return model
    values = data.patterns.states[data.classes][:, data.patterns.learned] < 0
    bent = np.asarray(calibrated)[data.patterns.learned] & (values.sum(axis=0) >= _FEWEST_VALUES)
    return model.calibrated(bent, settings.n_jobs) if bent.any() else model


def _identity(values: FlowMatchingData) -> ConditionalStandardizer:
    d, c = values.n_dims, values.n_conditions
    return ConditionalStandardizer(ReproducibleLinear(np.zeros((c, d)), np.zeros(d)), np.ones(d, np.float32))


def _beside(features: Numbers, condition: Numbers | None) -> Array:
    return features if condition is None else np.concatenate([features, condition], axis=1).astype(np.float32)
