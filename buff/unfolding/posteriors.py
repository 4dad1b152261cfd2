"""p(truth | reco) of single events, learned from simulated pairs."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtr
from sklearn.base import clone

from buff.protocols import Array
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.trees import Booster, TreeSettings
from buff.unfolding.events import Simulation

__all__ = ["Bridge", "LocatedFlow", "Location", "MarginalQuantiles", "Posterior"]

#: Centre and width of the posterior: many small steps, stopped on the half that is left out.
_SMOOTH = TreeSettings(n_estimators=150, max_depth=5, learning_rate=0.1, reg_lambda=10.0, early_stopping=10)
#: Squared residuals below this are all the same to the logarithm: single precision ends there.
_TINY = 1e-10
#: The narrowest posterior, in normal scores.
_NARROWEST = 1e-4

#: Draws of each simulated event behind the levelling, and its knots: uniform in normal scores up to the outermost.
_LEVELLING_DRAWS, _KNOTS, _OUTERMOST = 3, 201, 3.0


class Posterior(Protocol):
    """What draws truth for measured events."""

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
    means, log_squares : tuple of Booster
        What the line leaves, and the log of the squared residual.
    offsets : tuple of arrays of shape (d,)
        Mean of those logs.
    reach : pair of arrays of shape (c,)
        Least and largest features of the events.
    """

    lines: tuple[Array, ...]
    means: tuple[Booster, ...]
    log_squares: tuple[Booster, ...]
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

    def __call__(self, c: Array) -> tuple[Array, Array]:
        """Centre and width of the posterior, both of shape (n, d)."""
        centres = [_affine(line, c) + mean(c) for line, mean in zip(self.lines, self.means, strict=True)]
        logs = [o + squares(c) for o, squares in zip(self.offsets, self.log_squares, strict=True)]
        return np.mean(centres, axis=0), _width(np.mean(logs, axis=0))


@dataclass(frozen=True)
class MarginalQuantiles:
    """Increasing maps of scores, one a column, that give draws the marginal distributions they should have.

    Attributes
    ----------
    drawn, wanted : tuple of arrays of shape (knots,)
        Quantiles of the same levels, of each column.
    """

    drawn: tuple[Array, ...]
    wanted: tuple[Array, ...]

    @classmethod
    def fit(cls, drawn: Array, wanted: Array, w: Array) -> "MarginalQuantiles":
        """From draws for events of weights w, ``len(drawn) / len(w)`` each, and their own scores (n, d)."""
        levels = ndtr(np.linspace(-_OUTERMOST, _OUTERMOST, _KNOTS))
        repeated = np.repeat(w, len(drawn) // len(w))
        return cls(
            tuple(_quantiles(z, repeated, levels) for z in drawn.T),
            tuple(_quantiles(z, w, levels) for z in wanted.T),
        )

    def __call__(self, z: Array) -> Array:
        """Scores of the same shape; what lies beyond the knots is moved as the outermost one is."""
        columns = []
        for values, drawn, wanted in zip(z.T, self.drawn, self.wanted, strict=True):
            inside = np.clip(values, drawn[0], drawn[-1])
            columns.append(np.interp(inside, drawn, wanted) + values - inside)
        return np.column_stack(columns).astype(np.float32)


@dataclass(frozen=True)
class LocatedFlow:
    r"""Conditional flow of the standardised residual.

    With z and c the normal scores of truth and reco,

    .. math:: z = m(c) + s(c)\, e, \qquad e \sim \text{flow from noise, given } c.

    m and s are learned by regression and need not be exact: the flow takes what they leave. Without them a sharp
    detector asks of the flow's trees a split in c for every width of the resolution, and posteriors come out too wide.
    Draws for the simulated events are then given the marginal distributions of these events by increasing maps of z,
    which are nearly the identity but where a distribution has an edge or a spike.

    Attributes
    ----------
    location : Location
    flow : BUFF
    levelling : MarginalQuantiles
    truth_space, reco_space : TableTransformer
    """

    location: Location
    flow: Any
    levelling: MarginalQuantiles
    truth_space: TableTransformer
    reco_space: TableTransformer

    @classmethod
    def fit(cls, simulation: Simulation, weights: Array, generator: Any, seed: int) -> "LocatedFlow":
        """From the events that pass both selections, with these weights."""
        n = simulation.n_matched
        used = np.flatnonzero(weights > 0)
        z = simulation.truth_space.encode(simulation.truth.take(used), np.random.default_rng(seed))
        c, w = simulation.reco_scores[:n][used], weights[used]
        location, e = Location.fit(z, c, w / w.mean(), seed)
        flow = clone(generator).set_params(random_state=seed)
        flow.fit(e.astype(np.float64), condition=c.astype(np.float64), sample_weight=None if np.ptp(w) == 0 else w)
        levelling = MarginalQuantiles.fit(_located(location, flow, c, _LEVELLING_DRAWS, seed + 1), z, w)
        return cls(location, flow, levelling, simulation.truth_space, simulation.reco_space)

    def draw(self, reco: Columns, n_samples: int, seed: int) -> Columns:
        """See :class:`Posterior`."""
        z = _located(self.location, self.flow, self.reco_space.transform(reco), n_samples, seed)
        return _columns(self.truth_space, self.truth_space.decode(self.levelling(z)))


@dataclass(frozen=True)
class Bridge:
    """Flow from the measured event to its truth.

    Attributes
    ----------
    transport : BUFFTransport
    truth_space, reco_space : TableTransformer
    """

    transport: Any
    truth_space: TableTransformer
    reco_space: TableTransformer

    @classmethod
    def fit(cls, simulation: Simulation, weights: Array, generator: Any, seed: int) -> "Bridge":
        """From the events that pass both selections, with these weights."""
        n = simulation.n_matched
        used = np.flatnonzero(weights > 0)
        rng = np.random.default_rng(seed)
        c = simulation.reco_space.encode(simulation.reco.take(used), rng).astype(np.float64)
        z = simulation.truth_space.encode(simulation.truth.take(used), rng).astype(np.float64)
        w = weights[:n][used]
        transport = clone(generator).set_params(random_state=seed)
        transport.fit(c, z, sample_weight=None if np.ptp(w) == 0 else w)
        return cls(transport, simulation.truth_space, simulation.reco_space)

    def draw(self, reco: Columns, n_samples: int, seed: int) -> Columns:
        """See :class:`Posterior`."""
        repeated = reco.take(np.repeat(np.arange(len(reco)), n_samples))
        c = self.reco_space.encode(repeated, np.random.default_rng(seed)).astype(np.float64)
        z = np.asarray(self.transport.sample(c, random_state=seed), np.float32).reshape(len(c), -1)
        return _columns(self.truth_space, self.truth_space.decode(z))


def _located(location: Location, flow: Any, c: Array, n_samples: int, seed: int) -> Array:
    """Scores of draws before they are levelled."""
    centre, width = (np.repeat(part, n_samples, axis=0) for part in location(c))
    # beyond the events there is nothing but what holds at their end
    condition = np.repeat(np.clip(c, *location.reach), n_samples, axis=0).astype(np.float64)
    return centre + width * flow.sample(condition=condition, random_state=seed).astype(np.float32)


def _quantiles(z: Array, w: Array, levels: Array) -> Array:
    order = np.argsort(z)
    below = np.cumsum(w[order])
    return np.asarray(z[order][np.searchsorted(below, levels * below[-1])])


def _columns(space: TableTransformer, arrays: tuple[Array, ...]) -> Columns:
    return Columns(space.template_.names, arrays, space.template_)


def _line(c: Array, z: Array, w: Array) -> Array:
    root = np.sqrt(w)[:, None]
    return np.linalg.lstsq(root * _with_one(c), root * z, rcond=None)[0]


def _affine(line: Array, c: Array) -> Array:
    return (_with_one(c) @ line).astype(np.float32)


def _with_one(c: Array) -> Array:
    return np.hstack([c.astype(np.float64), np.ones((len(c), 1))])


def _booster(c: Array, y: Array, w: Array, half: Array, seed: int) -> Booster:
    train, held = ((c[rows], y[rows].astype(np.float32), w[rows]) for rows in (half, ~half))
    return Booster.fit(train[0], train[1], _SMOOTH, weights=train[2], fresh=held, seed=seed)


def _width(log_square: Array) -> Array:
    return np.maximum(np.exp(log_square / 2), _NARROWEST).astype(np.float32)
