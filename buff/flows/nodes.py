"""Nodes of a field: the linear part of a velocity in closed form, trees that correct it, and how both are learned."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff import kernels
from buff.errors import checked_device
from buff.fields.sources import GaussianPart
from buff.flows.cost import NodeRecord
from buff.flows.regression import Base, Problem, RegressionSource
from buff.kernels import PolynomialRidge, ReproducibleLinear, affordable_degree, device_arrays, products, solve
from buff.protocols import Array
from buff.trees import Booster, FlatForest, TreeSettings, flattened

__all__ = ["LinearVelocity", "NodeFrame", "NodeModel", "SmoothedTrees", "fit_node"]


#: Rows on which a node is validated, and early stopping decides.
_VALIDATION_ROWS = 20_000


#: Keeps the inverse of a covariance finite where columns determine each other.
_RIDGE = 1e-6
#: Rows at a time in double precision.
_BATCH = 2**17


@dataclass(frozen=True)
class LinearVelocity:
    r"""Best linear velocity given ``[x_t, c]``, from the joint moments of both ends of a path and the condition.

    With m and S the mean and covariance of (x0, x1, c), the features are f = A (x0, x1, c) for the matrix A of
    ``x_t = (1 - t) x0 + t x1``, and the far end e of the path is predicted best by

    .. math:: E_{lin}[e \mid f] = m_e + S_{e, \cdot} A^T (A S A^T)^{-1} (f - A m),

    which is the velocity ``(x1 - x_t) / (1 - t)`` or ``(x_t - x0) / t``. For jointly Gaussian ends and conditions it
    is exact. With independent standard normal noise and no condition it is
    ``u(x, t) = mu + (t C - (1 - t) I) (t^2 C + (1 - t)^2 I)^-1 (x - t mu)``, C the covariance of x1.

    Attributes
    ----------
    mean : array of shape (2 d + c,)
        Means of x0, x1 and c.
    covariance : array of shape (2 d + c, 2 d + c)
    n_dims : int
        d.

    Examples
    --------
    >>> base = LinearVelocity.from_noise(np.array([[-1.0], [1.0]]))
    >>> weights, bias = base.at(0.5)
    >>> abs(round(float(weights[0, 0]), 5)), float(bias[0])
    (0.0, 0.0)
    """

    mean: Array
    covariance: Array
    n_dims: int

    @classmethod
    def of_pairs(
        cls, x0: Array, x1: Array, condition: Array | None = None, weights: Array | None = None
    ) -> "LinearVelocity":
        """Moments of pairs ``x0`` (n, d), ``x1`` (n, d) with ``condition`` (n, c)."""
        parts = (x0, x1) if condition is None else (x0, x1, condition)
        return cls(*_moments(parts, weights), x1.shape[1])

    @classmethod
    def from_noise(
        cls, x1: Array, condition: Array | None = None, weights: Array | None = None, noise: float = 1.0
    ) -> "LinearVelocity":
        """Moments of rows ``x1`` and ``condition``, and those of independent normal x0 with deviation ``noise``."""
        d = x1.shape[1]
        mean, own = _moments((x1,) if condition is None else (x1, condition), weights)
        covariance = np.zeros((d + len(mean), d + len(mean)))
        covariance[:d, :d] = noise**2 * np.eye(d)
        covariance[d:, d:] = own
        return cls(np.concatenate([np.zeros(d), mean]), covariance, d)

    def gaussian_part(self, noise: float = 1.0) -> GaussianPart:
        """The Gaussian part of the flow, where x0 is independent noise."""
        d = self.n_dims
        part = GaussianPart.of(self.mean[d : 2 * d], self.covariance[d : 2 * d, d : 2 * d], noise)
        return replace(part, n_conditions=len(self.mean) - 2 * d)

    def at(self, t: float) -> tuple[Array, Array]:
        """``weights`` (d + c, d) and ``bias`` (d,) of the velocity ``[x, c] @ weights + bias`` at time t."""
        d = self.n_dims

        def features(of: Array) -> Array:
            return np.concatenate([(1 - t) * of[:d] + t * of[d : 2 * d], of[2 * d :]])

        # the end that is further away in time: its prediction is divided by a number that is not small
        end, sign, time = (slice(d), -1.0, t) if t > 0.5 else (slice(d, 2 * d), 1.0, 1 - t)
        joint = features(self.covariance)
        inputs = features(joint.T).T + _RIDGE * np.eye(len(joint))
        gain = solve(inputs, joint[:, end])
        bias = self.mean[end] - features(self.mean) @ gain
        return sign * (gain - np.eye(len(joint), d)) / time, sign * bias / time


def _moments(parts: Sequence[Array], weights: Array | None) -> tuple[Array, Array]:
    """Mean and covariance of the concatenated columns."""
    n = len(parts[0])
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum(dtype=np.float64)
    batches = [slice(start, start + _BATCH) for start in range(0, n, _BATCH)]

    def joint(rows: slice) -> Array:
        return np.hstack([part[rows] for part in parts]).astype(np.float64)

    mean = sum(products(w[rows, None], joint(rows))[0] for rows in batches)
    covariance = np.zeros((len(mean), len(mean)))
    for rows in batches:
        centred = joint(rows) - mean
        covariance += products(centred * w[rows, None], centred)
    return mean, covariance


@dataclass(frozen=True, eq=False)
class NodeFrame:
    """The frame at a node: trees see ``[x, y, c]`` and predict ``U^T (v - u_Gauss)`` in units of its width.

    Attributes
    ----------
    gaussian : GaussianPart
    t : float
    target_scale : float32 array of shape (d,)
        Units of the targets: standard deviations that the Gaussian part leaves.
    frame_scale : float32 array of shape (d,)
        The same over a(t): from predictions to dy/dt.
    """

    gaussian: GaussianPart
    t: float
    target_scale: Array
    frame_scale: Array

    @classmethod
    def of(cls, gaussian: GaussianPart, t: float, device: str = "cpu") -> "NodeFrame":
        """The frame at time t."""
        xp, _ = device_arrays(device)
        residual = gaussian.residual_scales(t)
        single = (xp.asarray(part, xp.float32) for part in (residual, residual / gaussian.scales(t)))
        return cls(gaussian.to_device(device), t, *single)

    def features(self, x: Array, condition: Array | None = None, y: Array | None = None) -> Array:
        """``[x, y, c]`` of shape (n, 2 d + c); y is worked out unless it is known."""
        xp, _ = device_arrays("cpu" if isinstance(x, np.ndarray) else "cuda")
        y = self.gaussian.to_frame(x, self.t) if y is None else y
        return xp.concatenate([x, y] if condition is None else [x, y, condition], axis=1)

    def targets(self, residual: Array) -> Array:
        """What trees learn of ``v - u_Gauss`` (n, d)."""
        return self.gaussian.rotate(residual) / self.target_scale

    def velocity(self, prediction: Array) -> Array:
        """Inverse of :meth:`targets`."""
        return self.gaussian.rotate_back(prediction * self.target_scale)


@dataclass(frozen=True)
class SmoothedTrees:
    """Trees on top of a polynomial: ``trees(features) + ridge(features[:, first:])``.

    Attributes
    ----------
    trees : FlatForest or Booster
    ridge : PolynomialRidge
    first : int
        First of the features that the polynomial sees.
    """

    trees: Booster | FlatForest
    ridge: PolynomialRidge
    first: int

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return self.trees.rounds

    @property
    def device(self) -> str:
        """Where the arithmetic is done."""
        return self.trees.device

    def __call__(self, features: Array) -> Array:
        return self.trees(features) + self.ridge(features[:, self.first :])

    def to_bytes(self) -> bytes:
        """Inverse of :func:`buff.flows.stored.load_trees`."""
        from buff.flows.stored import trees_bytes  # which makes such trees

        return trees_bytes(self)


@dataclass(frozen=True)
class NodeModel:
    """Velocity at a node: the linear base and the trees' correction to it.

    Attributes
    ----------
    linear : ReproducibleLinear
        From features ``[x_t, condition]``, (n, d + c) -> (n, d).
    trees : FlatForest, Booster, SmoothedTrees or None
        From the features ``[x_t, condition]`` to velocities, or as ``frame`` says. A booster where bytes cannot hold
        the trees.
    frame : NodeFrame or None
    """

    linear: ReproducibleLinear
    trees: Booster | FlatForest | SmoothedTrees | None = None
    frame: NodeFrame | None = None

    @classmethod
    def of(cls, base: Base, t: float, trees: Booster | SmoothedTrees | None, device: str = "cpu") -> "NodeModel":
        """The model at time t."""
        frame = NodeFrame.of(base, t, device) if isinstance(base, GaussianPart) else None
        if isinstance(trees, SmoothedTrees):
            trees = replace(trees, trees=flattened(trees.trees))
        flat = trees if trees is None or isinstance(trees, SmoothedTrees) else flattened(trees)
        return cls(ReproducibleLinear.of(*base.at(t), device), flat, frame)

    def __call__(self, x: Array, condition: Array | None = None) -> Array:
        velocity = self.linear(_joined(x, condition))
        if self.trees is None:
            return velocity
        if self.frame is None:
            return velocity + self.trees(_joined(x, condition))
        return velocity + self.frame.velocity(self.trees(self.frame.features(x, condition)))

    def packed(self) -> bytes:
        """The node as the kernels read it; its trees are a forest or none."""
        frame, trees = self.frame, self.trees
        parts = [self.linear.packed(), kernels.integers(frame is not None)]
        if frame is not None:
            parts += [kernels.sized(frame.target_scale), kernels.sized(frame.frame_scale)]
            parts.append(trees.ridge.packed() if isinstance(trees, SmoothedTrees) else kernels.integers(0))
        forest = trees.trees if isinstance(trees, SmoothedTrees) else trees
        own = forest.packed() if isinstance(forest, FlatForest) else b""
        return b"".join([*parts, kernels.integers(forest is not None), own])

    @property
    def frame_velocity(self) -> Callable[[Array, Array, Array | None], Array] | None:
        """dy/dt from x, y and the condition, where the trees are asked in a frame."""
        return None if self.frame is None else self._frame_velocity

    def _frame_velocity(self, x: Array, y: Array, condition: Array | None = None) -> Array:
        assert self.frame is not None
        if self.trees is None:
            return 0 * y
        return self.trees(self.frame.features(x, condition, y)) * self.frame.frame_scale


def fit_node(
    data: RegressionSource, base: Base, t: float, settings: TreeSettings, n_draws: int, seed: np.random.SeedSequence
) -> tuple[Booster | SmoothedTrees | None, NodeRecord]:
    """Train the model at time t.

    Parameters
    ----------
    data : FlowMatchingData or TeacherTrajectories
    base : LinearVelocity, GaussianPart or StepVelocity
    t : float
    settings : TreeSettings
    n_draws : int
        Noise draws a row.
    seed : numpy.random.SeedSequence
        Of the node: noise depends on nothing else.

    Returns
    -------
    trees : Booster, SmoothedTrees or None
        Beside a polynomial, if there is one; None where nothing is left to learn.
    record : NodeRecord
    """
    start = time.process_time()
    if data.has_closed_form(t) or not settings.n_estimators or not data.n_dims:
        return None, NodeRecord(t, 0, np.nan, 0.0)
    d = data.n_dims
    training, validating, choosing, growing = seed.spawn(4)
    rng, validation_rng = _generator(training, settings.device), _generator(validating, settings.device)
    data = data.to_device(settings.device)
    held_out = data.held_out(_VALIDATION_ROWS, np.random.default_rng(choosing))
    validation = _residual_problem(held_out, base, t, 1, validation_rng, settings.device)
    problem = _residual_problem(data, base, t, n_draws, rng, settings.device)
    ridge = _fit_ridge(base, problem, n_draws, settings)
    left = validation if ridge is None else (validation[0], validation[1] - ridge(validation[0][:, d:]), validation[2])
    number = int(growing.generate_state(1)[0]) >> 1  # XGBoost takes 31 bits
    grown = Booster.fit(*problem[:2], settings, weights=problem[2], fresh=left, seed=number)
    trees = SmoothedTrees(grown, ridge, d) if ridge else grown
    record = NodeRecord(t, trees.rounds, _explained(trees, *validation), time.process_time() - start)
    return trees, record


def _residual_problem(
    data: RegressionSource, base: Base, t: float, n_draws: int, rng: Any, device: str
) -> tuple[Array, Array, Array | None]:
    """Features, what the linear base leaves of the targets, weights."""
    features, targets, weights = data.problem(t, n_draws, rng, device)
    node, d = NodeModel.of(base, t, None, device), data.n_dims
    targets -= node.linear(features)
    if node.frame:
        features = node.frame.features(features[:, :d], features[:, d:])
        targets = node.frame.targets(targets)
    if data.is_uninformative(t):  # only the condition may be used
        features[:, : features.shape[1] - data.n_conditions] = 0
    return features, targets, weights


def _fit_ridge(base: Base, problem: Problem, n_draws: int, settings: TreeSettings) -> PolynomialRidge | None:
    """The polynomial part of a problem in the frame, which is taken off its targets."""
    features, targets, weights = problem
    d = targets.shape[1]
    n_inputs, n_rows = features.shape[1] - d, len(features) // n_draws
    degree, triples = affordable_degree(settings.smooth_degree, n_inputs, n_rows, settings.smooth_rows)
    if not degree or not isinstance(base, GaussianPart):
        return None
    w = features[:, d:]
    ridge = PolynomialRidge.fit(w, targets, weights, degree=degree, triples=triples, n_draws=n_draws)
    for start in range(0, len(w), 2**16):
        rows = slice(start, start + 2**16)
        targets[rows] -= ridge(w[rows])
    return ridge


def _joined(x: Array, condition: Array | None) -> Array:
    xp, _ = device_arrays(checked_device(x))
    return x if condition is None else xp.concatenate([x, condition], axis=1)


def _explained(trees: Booster | SmoothedTrees, features: Array, targets: Array, weights: Array | None) -> float:
    xp, _ = device_arrays(trees.device)
    w = xp.ones(len(targets), xp.float32) if weights is None else weights
    error = (w[:, None] * (targets - trees(features)) ** 2).sum()
    total = (w[:, None] * targets**2).sum()
    return float(1 - error / total) if total > 0 else 0.0


def _generator(seed: np.random.SeedSequence, device: str) -> Any:
    if device == "cuda":
        import cupy

        return cupy.random.default_rng(int(seed.generate_state(1, np.uint64)[0]))
    return np.random.default_rng(seed)
