"""Small fitted models of every kind, each with conditions to ask for."""

import numpy as np
import pandas as pd

from buff import BUFF
from buff.tables.relations import Order, Sum
from tests.pinned import labels, numbers

#: Settings of 0.1.0 but for the bandwidth: no frame, no polynomial, atoms as values like others.
EARLIER = {
    "solver": "ab2",
    "grid": "uniform",
    "tree_features": "scores",
    "smooth_degree": 0,
    "atoms": "apart",
    "relations": None,
}
#: The same, small.
SMALL = EARLIER | {
    "n_steps": 4,
    "n_estimators": 4,
    "max_depth": 4,
    "noise_budget": 4000,
    "random_state": 0,
    "device": "cpu",
}


def frame(seed=0, n=600):
    """A data frame of every kind of column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "pt": np.exp(x).astype(np.float32),
            "charge": np.where(rng.random(n) < 0.5, -1, 1),
            "type": pd.Categorical(
                np.array(["e", "mu", "tau"])[np.digitize(x + 0.3 * rng.normal(size=n), [-0.5, 0.8])]
            ),
            "name": np.where(x > 0, "above", "below"),
            "tight": x > 1,
            "day": np.datetime64("2024-01-01T00:00:00.000000") + rng.integers(0, 300, n).astype("m8[D]"),
            "same": 3.5,
            "word": "one",
        }
    )


def ordered(seed=0, n=2000):
    """Columns of which one is never below another: numbers, whole numbers, missing values."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=n).astype(np.float32)
    return pd.DataFrame({"a": x, "b": x + rng.exponential(size=n).astype(np.float32), "c": rng.normal(size=n)})


def related(n=1500):
    """Columns that others tell: sums, copies in other units, angles, labels of labels, orders with a sentinel."""
    rng = np.random.default_rng(0)
    phi, a, b = rng.uniform(-np.pi, np.pi, n), rng.integers(1, 9, n), rng.integers(2, 30, n)
    city = np.array(["Bonn", "Rome", "Oslo", "Genf"])[rng.integers(0, 4, n)]
    land = {"Bonn": "DE", "Rome": "IT", "Oslo": "NO", "Genf": "CH"}
    low = np.round(rng.exponential(10, n), 2)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "sum": a + b,
            "gev": low,
            "mev": 1000 * low,
            "phi": phi,
            "psi": (phi + rng.normal(0, 0.1, n) + np.pi) % (2 * np.pi) - np.pi,
            "city": city,
            "land": [land[c] for c in city],
            "up": np.where(rng.random(n) < 0.2, -25.0, np.round(low + rng.exponential(5, n), 2)),
        }
    )


def summed():
    """Totals of others, rounded, with a sentinel."""
    table = related().drop(columns=["phi", "psi", "city", "land"])
    up = table["up"].where(table["up"] > 0, 0.0)
    return table.assign(total=np.round(table["gev"] - up, 2))


def stated():
    """Relations of :func:`summed` with a rest and without."""
    return [Sum("sum", "a", "b"), Sum("total", "gev", "-up"), Order("gev", "mev")]


def _conditional():
    x = numbers()
    return BUFF(**SMALL).fit(x[:, 1:3], condition=x[:, [0, 3]])


def _labelled(classes):
    x = numbers()
    return BUFF(**SMALL, classes=classes).fit(x, condition=labels(x))


def _mixed_condition():
    x = frame()
    return BUFF(**SMALL, classes="together").fit(x[["pt", "day"]], condition=x[["type", "tight", "charge", "pt"]])


MODELS = {
    "plain": lambda: BUFF(**SMALL).fit(numbers()),
    "mixed": lambda: BUFF(**SMALL).fit(frame()),
    "onehot": lambda: BUFF(**SMALL, categories="onehot", layout="vector").fit(frame()),
    "tails": lambda: BUFF(**SMALL, tails="extrapolate").fit(numbers()[:, :2]),
    "conditional": _conditional,
    "labels": lambda: _labelled("together"),
    "classes": lambda: _labelled("apart"),
    "mixed_condition": _mixed_condition,
    "heun": lambda: BUFF(**{**SMALL, "solver": "heun"}).fit(numbers()[:, :2]),
    "ancestral": lambda: BUFF(**{**SMALL, "solver": "ddpm"}).fit(numbers()[:, :2]),
    "ordered": lambda: BUFF(**SMALL | {"relations": "auto"}).fit(ordered()),
    "copula": lambda: BUFF(**{**SMALL, "n_estimators": 0}).fit(numbers()),
}
#: Default settings, small: frames, polynomials, atoms drawn together.
DEFAULT = {key: SMALL[key] for key in SMALL if key not in EARLIER}


def _default_classes(classes):
    x = frame()[["pt", "charge", "name", "day"]]
    return BUFF(**DEFAULT, classes=classes).fit(x, condition=frame()["type"].astype(str).to_numpy())


def _default_mixed_condition():
    x = frame().assign(gap=numbers()[:, 1], x=numbers()[:, 0])
    return BUFF(**DEFAULT, classes="together").fit(x[["gap", "x", "day"]], condition=x[["type", "tight"]])


def _absent():
    """Orders with sentinels, missing values and decimals."""
    rng, n = np.random.default_rng(0), 2000
    low = np.where(rng.random(n) < 0.2, -25.0, np.round(30 + rng.exponential(20, n), 2))
    high = np.where(rng.random(n) < 0.2, -25.0, np.round(np.maximum(low, 30) + rng.exponential(9, n), 2))
    start = rng.integers(0, 40, n)
    x = pd.DataFrame({"low": low, "high": high, "start": start, "end": start + rng.integers(0, 9, n)})
    return BUFF(**DEFAULT, relations=[Order("low", "high"), Order("start", "end")]).fit(x)


def _swapped():
    """Orders of three columns that swaps keep, a < b < c."""
    rng = np.random.default_rng(2)
    table = np.sort(rng.normal(size=(500, 3)) + np.array([0, 0.5, 1]), axis=1)
    orders = [Order(f"x{i}", f"x{i + 1}", exchange=True) for i in range(2)]
    return BUFF(**DEFAULT | {"relations": orders}).fit(table)


#: Models of the default settings, and of some with other solvers in the same frame.
DEFAULTS = {
    "default": lambda: BUFF(**DEFAULT).fit(numbers()),
    "default_mixed": lambda: BUFF(**DEFAULT).fit(frame()),
    "default_smooth": lambda: BUFF(**DEFAULT).fit(ordered()),
    "default_conditional": lambda: BUFF(**DEFAULT).fit(numbers()[:, 1:3], condition=numbers()[:, [0, 3]]),
    "default_classes": lambda: _default_classes("apart"),
    "default_labels": lambda: _default_classes("together"),
    "default_mixed_condition": _default_mixed_condition,
    "default_absent": _absent,
    "default_pairs": lambda: BUFF(**DEFAULT).fit(np.random.default_rng(0).normal(size=(1000, 6)) ** 3),
    "default_heun": lambda: BUFF(**DEFAULT, solver="heun").fit(numbers()[:, :3]),
    "default_ancestral": lambda: BUFF(**DEFAULT, solver="ddpm").fit(numbers()[:, :3]),
    "default_scores": lambda: BUFF(**DEFAULT, tree_features="scores").fit(numbers()),
    "default_swapped": _swapped,
    "default_related": lambda: BUFF(**DEFAULT, schema={"phi": "angle", "psi": "angle"}).fit(related()),
    "default_stated": lambda: BUFF(**DEFAULT, relations=stated()).fit(summed()),
    "default_wide": lambda: BUFF(**DEFAULT).fit(np.random.default_rng(3).normal(size=(640, 4)) ** 3),
    "default_quadratic": lambda: BUFF(**DEFAULT | {"smooth_degree": 2, "layout": "vector"}).fit(numbers()),
}
CONDITIONS = {
    "default_conditional": [(0.5, -1.25), (-3.0, float("nan"))],
    "default_classes": ["e", "mu", "tau"],
    "default_labels": ["e", "tau"],
    "default_mixed_condition": [{"type": "e", "tight": False}, {"type": "tau", "tight": True}],
    "conditional": [(0.5, -1.25), (-3.0, float("nan")), (100.0, 0.0)],
    "labels": ["g", "t", "q"],
    "classes": ["g", "t", "q"],
    "mixed_condition": [
        {"type": "e", "tight": False, "charge": 1, "pt": 0.5},
        {"type": "tau", "tight": True, "charge": -1, "pt": 3.0},
    ],
}


def asked(name):
    """Conditions of a model, each in a form that ``sample`` takes."""
    for condition in CONDITIONS.get(name, [None]):
        table = [list(condition)] if isinstance(condition, tuple) else condition
        yield condition, table


def as_numbers(events, sampler):
    """Events of a table as samplers give them."""
    if not isinstance(events, pd.DataFrame):
        return np.asarray(events, float)
    columns = []
    for name in events:
        values = events[name]
        if name in sampler.levels:
            columns.append([sampler.levels[name].index(v) if v == v and v is not None else np.nan for v in values])
        elif values.dtype.kind == "M":
            columns.append(values.to_numpy().view(np.int64).astype(float))
        else:
            columns.append(values.to_numpy(float))
    return np.column_stack(columns)
