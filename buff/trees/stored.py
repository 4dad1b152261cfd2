"""Trees as files keep them: plain arrays where bytes hold their splits, XGBoost's UBJSON elsewhere."""

import io

import numpy as np

from buff.errors import ArchiveError
from buff.protocols import Array
from buff.records import read_array, require
from buff.trees.checked import check_trees
from buff.trees.forest import FlatForest, UnfitForest
from buff.trees.regressor import Booster, decode

__all__ = ["restored_trees", "stored_trees"]

_MAGIC = b"{forest1}"
#: Arrays of a forest in the order of the file.
_ORDER = ("rounds", "base", "n_cuts", "cuts", "group", "feature", "code", "leaf")


def stored_trees(trees: Booster | FlatForest) -> bytes:
    """Bytes of trees for a file: ``{forest1}`` and arrays in NumPy's format, or UBJSON where bytes cannot hold them.

    Examples
    --------
    >>> from buff.trees import TreeSettings
    >>> x = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    >>> booster = Booster.fit(x, x, TreeSettings(n_estimators=5))
    >>> raw = stored_trees(booster)
    >>> raw[:9], len(raw) < len(booster.to_bytes())
    (b'{forest1}', True)
    >>> bool((restored_trees(raw, 1)(x) == booster(x)).all())
    True
    """
    try:
        forest = trees if isinstance(trees, FlatForest) else FlatForest.from_document(decode(trees.to_bytes()))
    except UnfitForest:
        return trees.to_bytes()
    file = io.BytesIO()
    file.write(_MAGIC)
    arrays = forest.to_arrays()
    for name in _ORDER:
        np.lib.format.write_array(file, arrays[name], allow_pickle=False)
    return file.getvalue()


def restored_trees(
    raw: bytes, n_outputs: int, device: str = "cpu", n_features: int | None = None
) -> Booster | FlatForest:
    """Inverse of :func:`stored_trees`: plain arrays where a processor predicts them, else XGBoost's booster.

    Raises
    ------
    ArchiveError
        Arrays that are cut short, do not belong together, or name splits, features, outputs and leaves that are not
        there; UBJSON that :func:`buff.trees.check_trees` refuses; trees of other numbers of outputs or of features.
    """
    if not raw.startswith(_MAGIC):
        return _from_ubjson(raw, n_outputs, device, n_features)
    forest = _forest(raw)
    _check_sizes(forest, n_outputs, n_features)
    return forest if device == "cpu" else Booster.from_bytes(forest.to_bytes(), n_outputs, device, checked=False)


def _forest(raw: bytes) -> FlatForest:
    stream = io.BytesIO(raw)
    stream.seek(len(_MAGIC))
    arrays: dict[str, Array] = {name: read_array(stream, f"{name} of a forest") for name in _ORDER}
    require(stream.tell() == len(raw), "a forest has bytes after its end")
    rounds = arrays["rounds"]
    require(rounds.shape == () and rounds.dtype.kind in "iu", "the rounds of a forest are no number")
    try:
        return FlatForest.from_arrays(arrays)
    except ValueError as error:
        raise ArchiveError(f"trees that cannot be used: {error}") from None


def _from_ubjson(raw: bytes, n_outputs: int, device: str, n_features: int | None) -> Booster | FlatForest:
    if device == "cpu":
        try:
            forest = FlatForest.from_document(check_trees(raw))
        except UnfitForest:
            return Booster.from_bytes(raw, n_outputs, device, n_features=n_features)
        _check_sizes(forest, n_outputs, n_features)
        return forest
    return Booster.from_bytes(raw, n_outputs, device, n_features=n_features)


def _check_sizes(forest: FlatForest, n_outputs: int, n_features: int | None) -> None:
    require(forest.n_outputs == n_outputs, f"trees of {forest.n_outputs} outputs, not {n_outputs}")
    own = forest.n_features
    require(n_features in (None, own), f"trees of {own} features, not {n_features}")
