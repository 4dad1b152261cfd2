"""XGBoost as buff uses it: one regressor for all outputs of a node, on one thread or one GPU; and what its model says.

Models are read from Universal Binary JSON, draft 12, https://ubjson.org, bounded by the bytes that are there. Numbers
are big-endian; an array may name one type for all of its items. Counts of objects, no-ops and numbers of arbitrary
precision, which XGBoost does not write, are refused.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array
from buff.trees.sketch import can_sketch, sketched_squares

__all__ = ["FEATURES", "LAYOUTS", "Booster", "TreeSettings", "cuda_is_available", "decode"]

#: One tree an output; one tree for all outputs; the same with splits found on a projection of the gradient.
LAYOUTS = ("scalar", "vector", "sketch")
#: What trees of a flow see: scores, or also their coordinates in the frame of the Gaussian part.
FEATURES = ("auto", "both", "scores")
#: Other names that XGBoost has for parameters set here.
_ALIASES = {"eta": "learning_rate", "lambda": "reg_lambda", "min_split_loss": "gamma"}
#: Outputs up to which trees of their own cost less than shared ones of equal quality.
_SCALAR_UP_TO = 24
#: Levels of arrays and objects inside one another; models of XGBoost have seven.
_DEPTH = 16
_NUMBERS = {
    key: struct.Struct(f">{code}")
    for key, code in {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q", b"d": "f", b"D": "d"}.items()
}
_DTYPES = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_WORDS = {b"T": True, b"F": False, b"Z": None}


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
        return "vector" if layout == "sketch" and not can_sketch() else layout

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
            stopping["obj"] = sketched_squares(d, settings.n_sketch, seed)
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
            from buff.trees.checked import check_trees

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


def decode(raw: bytes) -> Any:
    """The document: dictionaries, lists, strings, numbers; arrays of one type are NumPy arrays.

    Raises
    ------
    ArchiveError
        Bytes that are no whole document of this kind, nested too deeply, or that name a key twice.

    Examples
    --------
    >>> decode(b"{i\\x01x[$U#i\\x03\\x01\\x02\\x03}")
    {'x': array([1, 2, 3], dtype=uint8)}
    """
    reader = _Reader(raw)
    value = reader.value(reader.take(1), 0)
    if reader.place != len(raw):
        raise ArchiveError(f"UBJSON: {len(raw) - reader.place} bytes after the end of the document")
    return value


class _Reader:
    """A place in the bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.place = 0

    def take(self, n: int) -> bytes:
        part = self.raw[self.place : self.place + n]
        if n < 0 or len(part) < n:
            where = f"{n} bytes asked for at byte {self.place} of {len(self.raw)}"
            raise ArchiveError(f"UBJSON, cut short or no such file: {where}")
        self.place += n
        return part

    def number(self, kind: bytes) -> Any:
        packed = _NUMBERS.get(kind)
        if packed is None:
            raise ArchiveError(f"UBJSON, cut short or no such file: a value of type {kind!r} before byte {self.place}")
        return packed.unpack(self.take(packed.size))[0]

    def count(self) -> int:
        kind = self.take(1)
        if kind not in b"iUIlL":
            raise ArchiveError(f"UBJSON, cut short or no such file: a length of type {kind!r} before byte {self.place}")
        n = int(self.number(kind))
        if not 0 <= n <= len(self.raw):
            raise ArchiveError(f"UBJSON: length {n} before byte {self.place} of {len(self.raw)}")
        return n

    def text(self) -> str:
        try:
            return self.take(self.count()).decode()
        except UnicodeDecodeError as error:
            raise ArchiveError(f"UBJSON: a string that is no UTF-8 before byte {self.place}") from error

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > _DEPTH:
            raise ArchiveError(f"UBJSON: more than {_DEPTH} levels")
        if kind == b"{":
            return self.mapping(depth)
        if kind == b"[":
            return self.array(depth)
        if kind == b"S":
            return self.text()
        return _WORDS[kind] if kind in _WORDS else self.number(kind)

    def mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.raw[self.place : self.place + 1] != b"}":
            key = self.text()
            if key in found:
                raise ArchiveError(f"UBJSON: the key {key!r} twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.place += 1
        return found

    def array(self, depth: int) -> Any:
        head = self.raw[self.place : self.place + 1]
        if head == b"$":
            kind, mark = self.take(3)[1:2], self.raw[self.place - 1 : self.place]
            if kind not in _DTYPES or mark != b"#":
                raise ArchiveError(f"UBJSON: an array of type {kind!r} before byte {self.place}")
            dtype, n = np.dtype(_DTYPES[kind]), self.count()
            return np.frombuffer(self.take(n * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))
        if head == b"#":
            self.place += 1
            return [self.value(self.take(1), depth + 1) for _ in range(self.count())]
        items = []
        while (kind := self.take(1)) != b"]":
            items.append(self.value(kind, depth + 1))
        return items
