"""Relations that a table keeps in every row, where so many rows are no accident."""

from collections.abc import Collection, Iterator, Sequence
from itertools import permutations

import numpy as np

from buff.protocols import Array, Values
from buff.tables.columns import Columns
from buff.tables.relations.base import Absence, Relation, Table
from buff.tables.relations.collection import Relations
from buff.tables.relations.functions import Determines, Rescaled, joint_codes
from buff.tables.relations.numbers import Order, Sum, decimals_of

__all__ = ["find_relations"]

#: Fewer rows prove nothing.
_FEWEST_ROWS = 50
#: log of the probability, over all pairs of columns, that a lookup is an accident.
_ACCIDENT = np.log(1e-6)
#: Columns of more levels are no labels that others follow from.
_MOST_LEVELS = 1000
#: Rows, at the least and as a share, that would break an order if the columns knew nothing of each other.
_BROKEN_ROWS, _BROKEN_SHARE = 20, 0.02
#: Spreads of columns that are compared differ by this factor at most.
_SPREAD = 5.0
#: Gaps narrower than this share of their standard deviation are close, and an edge to which fewer rows than that come
#: close is soft: a flow hardly ever crosses it.
_CLOSE, _SOFT_SHARE = 0.1, 0.02
#: Sums are looked for among at most so many columns of numbers, and orders likewise.
_MOST_NUMBERS = 200
#: Rows from which sums are guessed, all are checked.
_GUESS_ROWS = 2000


def find_relations(columns: Columns, stated: Sequence[Relation] = (), untouched: Collection[str] = ()) -> Relations:
    """All that can be found of functions, lookups, sums and orders, beside what is stated.

    Parameters
    ----------
    columns : Columns
    stated : sequence of Relation
        What the user states; columns that these tell are left alone.
    untouched : collection of str
        Columns that nothing may be found for, because the user has bounded them.

    Raises
    ------
    ValueError
        A row breaks a stated relation.

    Examples
    --------
    >>> from buff.tables import read
    >>> rng = np.random.default_rng(0)
    >>> net = rng.integers(100, 9000, 500) / 100
    >>> find_relations(read(np.column_stack([net, 2 * net])))
    relation   kind    rows
    x1 = 2 x0  scaled  500
    """
    relations: list[Relation] = list(stated)
    with np.errstate(all="ignore"):  # numbers of any size
        relations += _found(columns, relations, untouched)
    return Relations.learn(relations, columns) if relations else Relations((), columns.names, columns.names)


def _found(columns: Columns, stated: Sequence[Relation], untouched: Collection[str]) -> list[Relation]:
    told, relations = {name for r in stated for name in (r.target, *r.replaced)}, list(stated)
    if len(columns) >= _FEWEST_ROWS:
        table = dict(zip(columns.names, columns.arrays, strict=True))
        free = [name for name, values in table.items() if _varies(values[:1000])]
        for finder in (_scaled, _lookups, _sums, _orders):
            names = [name for name in free if name not in told]
            for relation in finder(table, names):
                if relation.target in untouched or relation.target in told or _circular(relation, relations):
                    continue
                relations.append(relation)
                told.add(relation.target)
        return _exchanged(stated, relations[len(stated) :], table)
    return []


def _varies(values: Values) -> bool:
    """Whether there is more than one value; missing is one."""
    return len(np.unique(joint_codes(values) if values.dtype.kind == "O" else values)) > 1


def _exchanged(stated: Sequence[Relation], found: Sequence[Relation], table: Table) -> list[Relation]:
    """What was found, with orders kept by swaps where edges are soft and no other relation names the columns."""
    soft = [isinstance(r, Order) and _is_soft(table[r.lower], table[r.upper]) for r in found]
    while True:
        others = [*stated, *(r for r, own in zip(found, soft, strict=True) if not own)]
        apart = {name for r in others for name in r.columns}
        kept = [own and not apart & set(r.columns) for r, own in zip(found, soft, strict=True)]
        if kept == soft:
            pairs = zip(found, soft, strict=True)
            return [Order(r.inputs[0], r.target, exchange=True) if own else r for r, own in pairs]
        soft = kept


def _is_soft(low: Array, up: Array) -> bool:
    """Whether both columns are smooth and complete, and rows hardly come close to the edge."""
    if low.dtype != up.dtype or low.dtype.kind != "f" or decimals_of(low) is not None or decimals_of(up) is not None:
        return False
    gap = up.astype(np.float64) - low
    complete = np.isfinite(gap).all() and Absence.of(low).sentinel is None and Absence.of(up).sentinel is None
    return bool(complete and np.mean(gap < _CLOSE * gap.std()) < _SOFT_SHARE)


def _circular(relation: Relation, others: list[Relation]) -> bool:
    """Whether one of the inputs depends on the target, directly or through other relations."""
    of = {other.target: other for other in others}
    open_, seen = list(relation.inputs), set()
    while open_:
        name = open_.pop()
        if name == relation.target:
            return True
        if name in of and name not in seen:
            seen.add(name)
            open_ += of[name].inputs
    return False


def _numbers(table: Table, names: Sequence[str]) -> list[str]:
    return [name for name in names if table[name].dtype.kind in "iuf"]


def _holds(relation: Relation, table: Table) -> bool:
    try:
        relation.learn(table)
    except (ValueError, TypeError):
        return False
    return True


def _scaled(table: Table, names: Sequence[str]) -> Iterator[Relation]:
    """Columns of many values that are a fixed function of one before them."""
    numbers = [name for name in _numbers(table, names) if len(np.unique(table[name][:_GUESS_ROWS])) > _FEWEST_ROWS // 2]
    if len(numbers) > _MOST_NUMBERS:
        return
    told: set[str] = set()
    for name in reversed(numbers):
        for source in numbers:
            if source in told or name in told or source == name:
                continue
            relation = _guess_scaled(table, name, source)
            if relation is not None and _holds(relation, table):
                told.add(name)
                yield relation


def _guess_scaled(table: Table, name: str, source: str) -> Rescaled | None:
    x, y = (table[key][:_GUESS_ROWS].astype(np.float64) for key in (source, name))
    there = ~(np.isnan(x) | np.isnan(y))
    if there.sum() < _FEWEST_ROWS // 2 or len(np.unique(x[there])) < len(np.unique(y[there])):
        return None
    x, y = x[there], y[there]
    order = np.argsort(x, kind="stable")
    steps = np.diff(y[order])
    if (steps > 0).any() and (steps < 0).any():
        return None  # no monotone function
    for form, function in Rescaled.FORMS.items():
        with np.errstate(all="ignore"):
            f = function(x)
        if not np.isfinite(f).all() or f.min() == f.max():
            continue
        low, high = np.argmin(f), np.argmax(f)
        scale = (y[high] - y[low]) / (f[high] - f[low])
        if not np.isfinite(scale) or not scale or abs(np.corrcoef(f, y)[0, 1]) < 1 - 1e-6:
            continue
        scale = _tidy(scale)
        offset = _tidy(float(np.median(y - scale * f)), scale=float(np.abs(y).max()))
        return Rescaled(name, source, form, scale, offset)
    return None


def _tidy(value: float, scale: float = 0.0) -> float:
    """A number that a person would write, where it is one but for noise."""
    if abs(value) < 1e-9 * scale:
        return 0.0
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= 1e-6 * max(abs(value), 1e-3 * scale):
            return short
    return value


def _lookups(table: Table, names: Sequence[str]) -> Iterator[Relation]:
    """Labels and whole numbers that follow from finer ones."""
    codes = {name: code for name in names if (code := _label_codes(table[name])) is not None}
    sizes = {name: int(code.max()) + 1 for name, code in codes.items()}
    ordered = sorted(codes, key=lambda name: -sizes[name])
    n_pairs, told = max(1, len(codes) ** 2), set()
    n = len(next(iter(table.values())))
    for fine, coarse in permutations(ordered, 2):
        if fine in told or coarse in told or sizes[coarse] > sizes[fine] or sizes[coarse] < 2:
            continue
        shares = np.bincount(codes[coarse]) / n
        # each row that is not the first of its level agrees with that by chance with probability sum p^2
        rows = n - sizes[fine]
        if rows * np.log(np.sum(shares**2)) + np.log(n_pairs) > _ACCIDENT or rows < _FEWEST_ROWS // 2:
            continue
        if not all(_tells(codes[fine][:head], codes[coarse][:head]) for head in (_GUESS_ROWS // 4, n)):
            continue
        if _evenly_shown(codes[fine], codes[coarse]):
            told.add(coarse)
            yield Determines(fine, coarse)


def _tells(fine: Values, coarse: Values) -> bool:
    """Whether rows of the same fine code have the same coarse one."""
    of = np.zeros(int(fine.max()) + 1, coarse.dtype)
    of[fine] = coarse
    return bool((of[fine] == coarse).all())


def _evenly_shown(fine: Values, coarse: Values) -> bool:
    """Whether rows with other than the commonest coarse value repeat fine ones often enough to rule out chance."""
    common = np.bincount(coarse).argmax()
    other = coarse != common
    repeats = other.sum() - len(np.unique(fine[other]))
    return bool(repeats >= 5)


def _label_codes(values: Values) -> Array | None:
    if values.dtype.kind == "f":
        sample = values[:_GUESS_ROWS]
        if len(np.unique(sample)) > min(_MOST_LEVELS, len(sample) // 4):
            return None
    codes = joint_codes(values)
    return codes if 2 <= codes.max() + 1 <= min(_MOST_LEVELS, len(codes) // 3) else None


def _sums(table: Table, names: Sequence[str]) -> Iterator[Relation]:
    """Totals: columns that are a sum or difference of others, told by least squares and checked in every row."""
    numbers = [name for name in _numbers(table, names) if len(np.unique(table[name][:_GUESS_ROWS])) > 10]
    X = _zero_where_absent(table, numbers)
    if not 3 <= len(numbers) <= _MOST_NUMBERS or len(X) < 3 * len(numbers):
        return
    spread = X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / spread
    values = np.linalg.svd(scaled, compute_uv=False)
    if values[-1] > 1e-2 * np.sqrt(len(X)):
        return
    left = list(range(len(numbers)))
    for j in np.argsort(-spread):
        others = [i for i in left if i != j]
        if len(others) < 2:
            return
        A = np.column_stack([X[:, others], np.ones(len(X))])
        beta, *_ = np.linalg.lstsq(A / np.append(spread[others], 1), X[:, j], rcond=1e-10)
        beta = beta[:-1] / spread[others]
        residual = X[:, j] - X[:, others] @ np.rint(beta)
        parts = [(i, round(b)) for i, b in zip(others, beta, strict=True) if round(b)]
        plain = len(parts) >= 2 and all(abs(b) == 1 for _, b in parts)
        if not plain or np.abs(residual).max() > 0.02 * spread[j]:
            continue
        relation = Sum(numbers[j], *(numbers[i] if b > 0 else f"-{numbers[i]}" for i, b in parts))
        if _holds(relation, table):
            left.remove(j)
            yield relation


def _there(values: Values) -> Array:
    """Which rows have a value."""
    if values.dtype.kind == "f" and not np.isnan(values).any():
        ends = [np.count_nonzero(values == end) for end in (values.min(), values.max())]
        if max(ends) == 1:  # what stands for "none" repeats
            return np.ones(len(values), bool)
    return Absence.of(values).there(values)


def _zero_where_absent(table: Table, names: Sequence[str]) -> Array:
    n = len(next(iter(table.values())))
    rows = slice(None, None, max(1, n // _GUESS_ROWS))
    columns = []
    for name in names:
        values = table[name]
        columns.append(np.where(_there(values), values, 0).astype(np.float64)[rows])
    return np.column_stack(columns) if columns else np.empty((0, 0))


def _orders(table: Table, names: Sequence[str]) -> Iterator[Relation]:
    """Columns of one kind and like spread, one never above the other: each above the nearest below it."""
    comparable = [name for name in names if table[name].dtype.kind in "iufmM" and _fine(table[name])]
    if len(comparable) > _MOST_NUMBERS:
        return
    rng = np.random.default_rng(0)
    there = {name: _there(table[name]) for name in comparable}
    for upper in comparable:
        nearest: tuple[float, str] | None = None
        for lower in comparable:
            if lower == upper or (gap := _mean_gap(table, there, lower, upper, rng)) is None:
                continue
            if nearest is None or gap < nearest[0]:
                nearest = gap, lower
        if nearest is not None:
            yield Order(nearest[1], upper)


def _fine(values: Values) -> bool:
    """Whether there are enough values for an order to mean something."""
    return len(np.unique(values[:_GUESS_ROWS])) > _FEWEST_ROWS // 2


def _mean_gap(table: Table, there: Table, lower: str, upper: str, rng: np.random.Generator) -> float | None:
    """Mean of upper - lower where the order holds in every row and would not by accident."""
    low, up = table[lower], table[upper]
    if (low.dtype.kind in "mM" or up.dtype.kind in "mM") and low.dtype != up.dtype:
        return None
    both = there[lower] & there[upper]
    n = int(both.sum())
    head = np.flatnonzero(both)[:200]
    if n < _FEWEST_ROWS or np.any(low[head] > up[head]) or np.any(low[both] > up[both]):
        return None
    if (decimals_of(low[both]) is None) != (decimals_of(up[both]) is None):
        return None
    x, y = (values[both].astype(np.int64 if values.dtype.kind in "mM" else float) for values in (low, up))
    spreads = np.array([np.subtract(*np.quantile(v, [0.9, 0.1])) for v in (x, y)], float)
    if spreads.min() <= 0 or spreads.max() > _SPREAD * spreads.min():
        return None
    broken = np.mean(x > rng.permutation(y))
    if broken * n < _BROKEN_ROWS or broken < _BROKEN_SHARE:
        return None
    return float(np.mean(y - x))
