"""p(truth | reco) of single events, learned from simulated pairs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from buff.flows import (
    FlowModel,
    MarginalCalibration,
    ReproducibleLinear,
    SampleRequest,
    Source,
    fit_flow,
    train_flow,
)
from buff.flows.calibration import calibration_between
from buff.generators.pairing import check_noise, paired_data
from buff.protocols import Array, Numbers, Scores, Weights
from buff.records import checked_array, checked_record, require
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.transforms.scores import NormalScores
from buff.trees import Booster, FlatForest, TreeSettings, restored_trees, stored_trees
from buff.unfolding.events import Simulation
from buff.unfolding.parts import Parts, joined, part_of

__all__ = ["Bridge", "LocatedFlow", "Location", "Posterior"]

#: Centre and width of the posterior: many small steps, stopped on the half that is left out.
_SMOOTH = TreeSettings(n_estimators=150, max_depth=5, learning_rate=0.1, reg_lambda=10.0, early_stopping=10)
#: Squared residuals below this are all the same to the logarithm: single precision ends there.
_TINY = 1e-10
#: The narrowest posterior, in normal scores.
_NARROWEST = 1e-4
#: Draws of each simulated event behind the calibration.
_CALIBRATION_DRAWS = 3


class Posterior(Protocol):
    """A fitted model that draws truth for measured events."""

    def draw(self, reco: Columns, n_samples: int, seed: int) -> Columns:
        """``n_samples`` rows of truth an event, those of an event next to each other."""
        ...


@dataclass(frozen=True)
class Location:
    """Where the posterior of an event is, and how wide: a line and trees, from two halves of the events.

    Attributes
    ----------
    lines : tuple of arrays of shape (c + 1, d)
        Linear part of the mean of each half.
    means, log_squares : tuple of Booster or FlatForest
        What the line leaves, and the log of the squared residual.
    offsets : tuple of arrays of shape (d,)
        Mean of those logs.
    reach : pair of arrays of shape (c,)
        Least and largest features of the events.
    """

    lines: tuple[Array, ...]
    means: tuple[Booster | FlatForest, ...]
    log_squares: tuple[Booster | FlatForest, ...]
    offsets: tuple[Array, ...]
    reach: tuple[Array, Array]

    @classmethod
    def fit(cls, z: Array, c: Array, w: Array, seed: int) -> tuple["Location", Array]:
        """From scores z of truth (n, d) and c of reco (n, features), and the standardised residuals of z.

        Each half gets its centre and width from the other: trees that saw a row would make its residual too small.
        """
        first = np.random.default_rng(seed).permutation(len(z)) < len(z) // 2
        e = np.empty_like(z)
        lines, means = [], []
        for half in (first, ~first):
            lines.append(_line(c[half], z[half], w[half]))
            rest = z - _affine(lines[-1], c)
            means.append(_booster(c, rest, w, half, seed))
            e[~half] = (rest - means[-1](c))[~half]
        y = np.log(e**2 + _TINY)
        log_squares, offsets = [], []
        for half in (first, ~first):
            offsets.append(np.average(y[half], axis=0, weights=w[half]).astype(np.float32))
            log_squares.append(_booster(c, y - offsets[-1], w, half, seed))
            e[~half] /= _width(offsets[-1] + log_squares[-1](c[~half]))
        reach = c.min(axis=0), c.max(axis=0)
        return cls(tuple(lines), tuple(means), tuple(log_squares), tuple(offsets), reach), e

    def __call__(self, c: Numbers) -> tuple[Array, Array]:
        """Centre and width of the posterior, both of shape (n, d)."""
        centres = [_affine(line, c) + mean(c) for line, mean in zip(self.lines, self.means, strict=True)]
        logs = [o + squares(c) for o, squares in zip(self.offsets, self.log_squares, strict=True)]
        return np.mean(centres, axis=0), _width(np.mean(logs, axis=0))

    def to_arrays(self) -> Parts:
        """A JSON-serialisable record, named arrays, and trees."""
        arrays = {f"line/{i}": line for i, line in enumerate(self.lines)}
        arrays |= {f"offset/{i}": offset for i, offset in enumerate(self.offsets)}
        trees = {f"mean/{i}.trees": stored_trees(mean) for i, mean in enumerate(self.means)}
        trees |= {f"log_square/{i}.trees": stored_trees(squares) for i, squares in enumerate(self.log_squares)}
        return {}, arrays | {"low": self.reach[0], "high": self.reach[1]}, trees

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], blobs: Mapping[str, bytes]) -> "Location":
        """Inverse of :meth:`to_arrays`.

        Raises
        ------
        ArchiveError
            Parts that are lost or do not belong together.
        """
        names = [f"{name}/{i}" for name in ("line", "offset") for i in range(2)]
        checked_record(arrays, "the centre of a posterior", [*names, "low", "high"])
        trees = [f"{name}/{i}.trees" for name in ("mean", "log_square") for i in range(2)]
        checked_record(blobs, "the centre of a posterior", trees)
        low = checked_array(arrays["low"], "least features", (None,))
        high = checked_array(arrays["high"], "largest features", low.shape)
        require((low <= high).all(), "the least features are above the largest")
        first = checked_array(arrays["line/0"], "lines", (len(low) + 1, None))
        lines = first, checked_array(arrays["line/1"], "lines", first.shape)
        offsets = tuple(checked_array(arrays[f"offset/{i}"], "offsets", first.shape[1:]) for i in range(2))
        means, squares = (
            tuple(restored_trees(blobs[f"{name}/{i}.trees"], first.shape[1], n_features=len(low)) for i in range(2))
            for name in ("mean", "log_square")
        )
        return cls(lines, means, squares, offsets, (low, high))


@dataclass(frozen=True)
class LocatedFlow:
    r"""Conditional flow of the standardised residual.

    With z and c the normal scores of truth and reco,

    .. math:: z = m(c) + s(c)\, e, \qquad e \sim \text{flow from noise, given } c.

    m and s are learned by regression and need not be exact: the flow takes what they leave. Without them a sharp
    detector asks of the flow's trees a split in c for every width of the resolution, and posteriors come out too wide.
    The flow sees e and c as normal scores. Draws for the simulated events are then given the marginal distributions of
    these events by increasing maps of z, which are nearly the identity but where a distribution has an edge or a spike.

    Attributes
    ----------
    location : Location
    flow : FlowModel
        Of the normal scores of e, given those of c.
    residuals, conditions : NormalScores
        Normal scores of e and of c.
    calibration : MarginalCalibration or None
    truth_space, reco_space : TableTransformer
    n_jobs : int or None
        Threads of sampling.
    """

    location: Location
    flow: FlowModel
    residuals: NormalScores
    conditions: NormalScores
    calibration: MarginalCalibration | None
    truth_space: TableTransformer
    reco_space: TableTransformer
    n_jobs: int | None = None

    @classmethod
    def fit(cls, simulation: Simulation, weights: Array, generator: Any, seed: int) -> "LocatedFlow":
        """From the events that pass both selections, with these weights."""
        s, used = simulation, np.flatnonzero(weights > 0)
        z = s.truth_space.encode(s.truth.take(used), np.random.default_rng(seed))
        own = len(s.reco_space.get_feature_names_out())  # without the flags of frequent values
        c, w = np.ascontiguousarray(s.reco_scores[used, :own]), weights[used]
        location, e = Location.fit(z, c, w / w.mean(), seed)
        given = None if np.ptp(w) == 0 else w
        residuals = NormalScores.fit(e, given, extrapolate=generator.tails == "extrapolate")
        conditions = NormalScores.fit(c, given)
        flow = fit_flow(
            residuals.bounds(e),
            generator.flow_settings,
            condition=conditions.encode(c),
            sample_weight=given,
            source=Source(coupling=generator.get_coupling()),
            seed=seed,
        )
        posterior = cls(location, flow, residuals, conditions, None, s.truth_space, s.reco_space, generator.n_jobs)
        drawn = posterior.scores(c, _CALIBRATION_DRAWS, seed + 1)
        return replace(posterior, calibration=calibration_between(drawn, z, w))

    def draw(self, reco: Columns, n_samples: int, seed: int) -> Columns:
        """See :class:`Posterior`."""
        z = self.scores(self.reco_space.transform(reco), n_samples, seed)
        return _columns(self.truth_space, self.truth_space.decode(z))

    def scores(self, c: Numbers, n_samples: int, seed: int) -> Array:
        """Scores z of ``n_samples`` draws for each row of scores c (n, features)."""
        centre, width = (np.repeat(part, n_samples, axis=0) for part in self.location(c))
        # beyond the events there is nothing but what holds at their end
        condition = self.conditions.encode(np.clip(c, *self.location.reach)).repeat(n_samples, axis=0)
        e = self.flow.sample(SampleRequest(len(condition), seed, condition=condition, n_jobs=self.n_jobs))
        z: Array = centre + width * self.residuals.decode(e).astype(np.float32)
        return z if self.calibration is None else self.calibration(z)

    def to_arrays(self) -> Parts:
        """A JSON-serialisable record, named arrays, and trees: all but the spaces of the tables."""
        assert self.calibration is not None
        quantiles = {"quantiles": self.calibration.quantiles, "wanted": self.calibration.wanted}
        return joined(
            location=self.location.to_arrays(),
            flow=self.flow.to_arrays(),
            residuals=(*self.residuals.to_arrays(), {}),
            conditions=(*self.conditions.to_arrays(), {}),
            calibration=({}, quantiles, {}),
        )

    @classmethod
    def from_arrays(
        cls, parts: Parts, truth_space: TableTransformer, reco_space: TableTransformer, n_jobs: int | None = None
    ) -> "LocatedFlow":
        """Inverse of :meth:`to_arrays`, with the spaces of the tables."""
        quantiles = part_of(parts, "calibration")[1]
        checked_record(quantiles, "the calibration", ("quantiles", "wanted"))
        drawn = checked_array(quantiles["quantiles"], "quantiles", (None, None), rising=True)
        wanted = checked_array(quantiles["wanted"], "wanted quantiles", drawn.shape, rising=True)
        return cls(
            Location.from_arrays(*part_of(parts, "location")[1:]),
            FlowModel.from_arrays(*part_of(parts, "flow")),
            NormalScores.from_arrays(*part_of(parts, "residuals")[:2]),
            NormalScores.from_arrays(*part_of(parts, "conditions")[:2]),
            MarginalCalibration(drawn, np.ones(drawn.shape[1], bool), wanted),
            truth_space,
            reco_space,
            n_jobs,
        )


@dataclass(frozen=True)
class Bridge:
    """Flow from the measured event to its truth.

    Attributes
    ----------
    flow : FlowModel
        Of the normal scores of z.
    scores, features : NormalScores
        Normal scores of z, the scores of truth, and features of c, those of reco.
    prediction : ReproducibleLinear or None
        Where flows without noise start; with noise they start there by their condition.
    truth_space, reco_space : TableTransformer
    n_jobs : int or None
        Threads of sampling.
    """

    flow: FlowModel
    scores: NormalScores
    features: NormalScores
    prediction: ReproducibleLinear | None
    truth_space: TableTransformer
    reco_space: TableTransformer
    n_jobs: int | None = None

    @classmethod
    def fit(cls, simulation: Simulation, weights: Array, generator: Any, seed: int) -> "Bridge":
        """From the events that pass both selections, with these weights."""
        s, used = simulation, np.flatnonzero(weights > 0)
        rng = np.random.default_rng(seed)
        c, z = s.reco_space.encode(s.reco.take(used), rng), s.truth_space.encode(s.truth.take(used), rng)
        w = weights[: s.n_matched][used]
        given = None if np.ptp(w) == 0 else w
        features = NormalScores.fit(c, given)
        scores = NormalScores.fit(z, given, extrapolate=generator.tails == "extrapolate")
        noise = check_noise(generator.noise, paired=True)
        data, prediction = paired_data(scores.bounds(z), features.encode(c), None, given, noise)
        flow = train_flow(data, generator.flow_settings, seed=seed)
        return cls(flow, scores, features, prediction, s.truth_space, s.reco_space, generator.n_jobs)

    def draw(self, reco: Columns, n_samples: int, seed: int) -> Columns:
        """See :class:`Posterior`."""
        repeated = reco.take(np.repeat(np.arange(len(reco)), n_samples))
        c = self.features.encode(self.reco_space.encode(repeated, np.random.default_rng(seed)))
        start = {"condition": c} if self.prediction is None else {"source": self.prediction(c)}
        request = SampleRequest(len(c), seed, n_jobs=self.n_jobs, **start)
        z = self.scores.decode(self.flow.sample(request))
        return _columns(self.truth_space, self.truth_space.decode(z.astype(np.float32)))

    def to_arrays(self) -> Parts:
        """A JSON-serialisable record, named arrays, and trees: all but the spaces of the tables."""
        prediction = {} if self.prediction is None else self.prediction.to_arrays()
        return joined(
            flow=self.flow.to_arrays(),
            scores=(*self.scores.to_arrays(), {}),
            features=(*self.features.to_arrays(), {}),
            prediction=({}, prediction, {}),
        )

    @classmethod
    def from_arrays(
        cls, parts: Parts, truth_space: TableTransformer, reco_space: TableTransformer, n_jobs: int | None = None
    ) -> "Bridge":
        """Inverse of :meth:`to_arrays`, with the spaces of the tables."""
        prediction = {f"prediction/{key}": a for key, a in part_of(parts, "prediction")[1].items()}
        return cls(
            FlowModel.from_arrays(*part_of(parts, "flow")),
            NormalScores.from_arrays(*part_of(parts, "scores")[:2]),
            NormalScores.from_arrays(*part_of(parts, "features")[:2]),
            ReproducibleLinear.from_arrays(prediction, "prediction") if prediction else None,
            truth_space,
            reco_space,
            n_jobs,
        )


def _columns(space: TableTransformer, arrays: tuple[Array, ...]) -> Columns:
    return Columns(space.template_.names, arrays, space.template_)


def _line(c: Numbers, z: Scores, w: Weights) -> Array:
    root = np.sqrt(w)[:, None]
    return np.linalg.lstsq(root * _with_one(c), root * z, rcond=None)[0]


def _affine(line: Numbers, c: Numbers) -> Array:
    return (_with_one(c) @ line).astype(np.float32)


def _with_one(c: Numbers) -> Array:
    return np.hstack([c.astype(np.float64), np.ones((len(c), 1))])


def _booster(c: Array, y: Array, w: Array, half: Array, seed: int) -> Booster:
    train, held = ((c[rows], y[rows].astype(np.float32), w[rows]) for rows in (half, ~half))
    return Booster.fit(train[0], train[1], _SMOOTH, weights=train[2], fresh=held, seed=seed)


def _width(log_square: Numbers) -> Array:
    return np.maximum(np.exp(log_square / 2), _NARROWEST).astype(np.float32)
