"""Small fitted models of every kind, each with conditions to ask for."""

import numpy as np
import pandas as pd

from buff import BUFF
from buff.export import EXPORTABLE
from tests.pinned import labels, numbers

#: What kernels hold, small.
SMALL = EXPORTABLE | {
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
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D"),
            "same": 3.5,
            "word": "one",
        }
    )


def ordered(seed=0, n=2000):
    """Columns of which one is never below another: numbers, whole numbers, missing values."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=n).astype(np.float32)
    return pd.DataFrame({"a": x, "b": x + rng.exponential(size=n).astype(np.float32), "c": rng.normal(size=n)})


def _conditional():
    x = numbers()
    return BUFF(**SMALL).fit(x[:, 1:3], condition=x[:, [0, 3]])


def _labelled(classes):
    x = numbers()
    return BUFF(**SMALL, classes=classes).fit(x, condition=labels(x))


def _mixed_condition():
    x = frame()
    return BUFF(**SMALL).fit(x[["pt", "day"]], condition=x[["type", "tight", "charge", "pt"]])


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
CONDITIONS = {
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
