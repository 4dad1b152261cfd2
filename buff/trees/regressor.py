"""XGBoost as buff uses it: one regressor for all outputs of a node, on one thread or one GPU."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from buff.protocols import Array
from buff.trees.checked import check_trees

__all__ = ["FEATURES", "LAYOUTS", "Booster", "TreeSettings", "cuda_is_available"]

#: One tree an output; one tree for all outputs; the same with splits found on a projection of the gradient.
LAYOUTS = ("scalar", "vector", "sketch")
#: What trees of a flow see: scores, or also their coordinates in the frame of the Gaussian part.
FEATURES = ("auto", "both", "scores")
#: Other names that XGBoost has for parameters set here.
_ALIASES = {"eta": "learning_rate", "lambda": "reg_lambda", "min_split_loss": "gamma"}
#: Outputs up to which trees of their own cost less than shared ones of equal quality.
_SCALAR_UP_TO = 24


@dataclass(frozen=True)
class TreeSettings:
    """How a node's regressor is grown.

    Attributes
    ----------
    n_estimators, max_depth, learning_rate, reg_lambda
        As in XGBoost. Without estimators there are no trees at all.
    early_stopping : int or None
        Stop when the error on fresh noise has not fallen for so many rounds.
    layout : {"auto", "scalar", "vector", "sketch"}
        ``"scalar"`` grows a tree for every output, ``"vector"`` trees whose leaves hold all outputs, ``"sketch"``
        vector leaves whose splits see ``n_sketch`` random projections of the gradient, so that the cost of a round
        hardly grows with the number of outputs. ``"auto"`` is scalar up to 24 outputs and sketch beyond.
    n_sketch : int
        Projections of the sketch.
    min_split_loss : float
        Fall of the summed squared error that a split must bring.
    max_bin : int
        Values of a feature that splits tell apart. For scores 64 are as good as 256 (jets, collisions, wine), and
        training takes a third less time.
    features : {"auto", "both", "scores"}
        What trees of a flow from noise see and learn: the scores and velocities along them; or both the scores and
        their coordinates along the principal axes of the Gaussian part, and velocities along these axes. ``"auto"`` is
        both, unless a single column depends on a condition and has no axes but itself.
    smooth_degree : {0, 2, 3}
        Degree of the polynomial in these coordinates that trees correct; 0 for none, or trees that see scores alone.
    smooth_rows : int
        Rows of the table that each of its coefficients takes: with fewer, it has a lower degree.
    device : {"cpu", "cuda"}
    tree_params : mapping
        Anything else that XGBoost knows; wins over the above.
    """

    n_estimators: int = 12
    max_depth: int = 8
    learning_rate: float = 0.7
    reg_lambda: float = 30.0
    early_stopping: int | None = None
    layout: str = "auto"
    n_sketch: int = 8
    min_split_loss: float = 0.0
    max_bin: int = 64
    features: str = "scores"
    smooth_degree: int = 0
    smooth_rows: int = 20
    device: str = "cpu"
    tree_params: Mapping[str, Any] = field(default_factory=dict)

    def sees_both(self, n_dims: int, n_conditions: int) -> bool:
        """Whether trees see both the scores and their coordinates along principal axes."""
        return self.features == "both" or (self.features == "auto" and (n_dims > 1 or not n_conditions))

    def layout_for(self, d: int) -> str:
        """The layout for ``d`` outputs; sketches need an XGBoost that can, and are vectors otherwise."""
        layout = self.layout
        if layout == "auto":
            layout = "scalar" if d <= _SCALAR_UP_TO else "sketch"
        if d == 1:
            return "scalar"
        return "vector" if layout == "sketch" and not _can_sketch() else layout

    def parameters(self, d: int, seed: int) -> dict[str, Any]:
        """XGBoost's parameters for ``d`` outputs."""
        shared = self.layout_for(d) != "scalar"
        # of two names for the same thing, which XGBoost takes depends on the alphabet
        own = {_ALIASES.get(name, name): value for name, value in self.tree_params.items()}
        return {
            "tree_method": "hist",
            "objective": "reg:squarederror",
            "base_score": 0.0,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "max_bin": self.max_bin,
            "gamma": self.min_split_loss,
            "reg_lambda": self.reg_lambda,
            "multi_strategy": "multi_output_tree" if shared else "one_output_per_tree",
            # one process a node and one thread a process: threads that share cores wait for each other
            "nthread": 1,
            "device": self.device,
            "seed": seed,
            "verbosity": 0,
        } | own


@dataclass(frozen=True)
class Booster:
    """A regressor (n, features) -> (n, d) in single precision.

    Attributes
    ----------
    model : xgboost.Booster
    n_outputs : int
    device : {"cpu", "cuda"}
        Where it predicts; arrays are expected there.

    Examples
    --------
    >>> x = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    >>> booster = Booster.fit(x, np.hstack([x, x**2]), TreeSettings(n_estimators=20))
    >>> bool(abs(booster(x) - np.hstack([x, x**2])).max() < 0.05)
    True
    """

    model: Any
    n_outputs: int
    device: str = "cpu"

    @classmethod
    def fit(
        cls,
        features: Array,
        targets: Array,
        settings: TreeSettings,
        *,
        weights: Array | None = None,
        fresh: tuple[Array, Array, Array | None] | None = None,
        seed: int = 0,
    ) -> "Booster":
        """Grow trees on float32 ``features`` (n, f) and ``targets`` (n, d).

        ``fresh`` (features, targets, weights) of the same distribution decides when to stop early.
        """
        import xgboost as xgb

        d = targets.shape[1]
        parameters = settings.parameters(d, seed)
        options = {"max_bin": parameters["max_bin"], "nthread": parameters["nthread"]}
        data = xgb.QuantileDMatrix(features, targets, weight=weights, **options)
        stopping: dict[str, Any] = {}
        if settings.early_stopping and fresh is not None:
            held = xgb.QuantileDMatrix(fresh[0], fresh[1], weight=fresh[2], ref=data, **options)
            stopping = {"evals": [(held, "fresh")], "early_stopping_rounds": settings.early_stopping}
            stopping["verbose_eval"] = False
        if settings.layout_for(d) == "sketch":
            stopping["obj"] = _sketched_squares(d, settings.n_sketch, seed)
        try:
            model = xgb.train(parameters, data, settings.n_estimators, **stopping)
        except xgb.core.XGBoostError as error:
            if not settings.tree_params:
                raise
            reason = str(error).splitlines()[0]
            raise ValueError(f"XGBoost does not take tree_params={dict(settings.tree_params)}: {reason}") from error
        if "evals" in stopping:
            model = model[: model.best_iteration + 1]
        return cls(model, d, settings.device)

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return int(self.model.num_boosted_rounds())

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.model.num_features())

    def __call__(self, features: Array) -> Array:
        return self.model.inplace_predict(features).reshape(len(features), self.n_outputs)

    def to_bytes(self) -> bytes:
        """The trees as UBJSON."""
        return bytes(self.model.save_raw("ubj"))

    @classmethod
    def from_bytes(
        cls,
        raw: bytes,
        n_outputs: int,
        device: str = "cpu",
        *,
        n_features: int | None = None,
        checked: bool = True,
    ) -> "Booster":
        """Inverse of :meth:`to_bytes`, on any device; only bytes that were made in memory go unchecked.

        Raises
        ------
        ArchiveError
            Bytes that are no such trees: see :func:`buff.trees.check_trees`.
        """
        if checked:
            check_trees(raw, n_outputs, n_features)
        return _loaded(raw, n_outputs, device)

    def __reduce__(self) -> Any:
        return _loaded, (self.to_bytes(), self.n_outputs)


def _loaded(raw: bytes, n_outputs: int, device: str = "cpu") -> Booster:
    """A booster from bytes that can be trusted."""
    import xgboost as xgb

    model = xgb.Booster()
    model.load_model(bytearray(raw))
    model.set_param({"nthread": 1, "device": device})
    return Booster(model, n_outputs, device)


def cuda_is_available() -> bool:
    """Whether XGBoost, CuPy and a CUDA device are all there."""
    try:
        import cupy
        import xgboost as xgb

        return bool(xgb.build_info().get("USE_CUDA")) and cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # CuPy raises errors of its own where a driver is missing or too old
        return False


def _can_sketch() -> bool:
    """Whether this XGBoost lets splits see a gradient of their own: experimental since 3.2."""
    try:
        from xgboost.objective import TreeObjective
    except ImportError:
        return False
    return hasattr(TreeObjective, "split_grad")


def _sketched_squares(d: int, k: int, seed: int) -> Any:
    """Squared error whose split search sees k random combinations of the d gradients, new ones each round.

    With P of independent N(0, 1/k) entries, ``|P^T g|^2`` has mean ``|g|^2``: gains are right on average
    (Johnson, Lindenstrauss, 1984), while leaves are computed from all d gradients.
    """
    from xgboost.objective import TreeObjective

    class SketchedSquares(TreeObjective):  # type: ignore[misc]
        def __call__(self, iteration: int, y_pred: Array, dtrain: Any) -> tuple[Array, Array]:
            y = dtrain.get_label().reshape(-1, d)
            xp = _namespace(y_pred)
            weights = dtrain.get_weight()
            gradient = y_pred.reshape(-1, d) - xp.asarray(y)
            hessian = xp.ones_like(gradient)
            if len(weights):
                w = xp.asarray(weights)[:, None]
                gradient, hessian = gradient * w, hessian * w
            return gradient, hessian

        def split_grad(self, iteration: int, grad: Array, hess: Array) -> tuple[Array, Array]:
            xp = _namespace(grad)
            rng = np.random.default_rng([seed, iteration])
            projection = rng.standard_normal((d, min(k, d))).astype(np.float32) / np.sqrt(min(k, d))
            return grad @ xp.asarray(projection, dtype=grad.dtype), xp.ascontiguousarray(hess[:, : min(k, d)])

    return SketchedSquares()


def _namespace(array: Array) -> Any:
    if isinstance(array, np.ndarray):
        return np
    import cupy

    return cupy
