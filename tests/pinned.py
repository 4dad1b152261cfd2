"""Small models whose results stay the same, bit by bit, whatever is rearranged inside."""

import hashlib
from functools import cache, partial

import numpy as np
import pandas as pd

from buff import BUFF, BUFFTransport, PublishedBUFF, Unfolder, metrics
from buff.datasets import gaussian_1d
from buff.metrics.scores import MEASURES

SMALL = {"n_steps": 4, "n_estimators": 4, "max_depth": 4, "noise_budget": 4000, "random_state": 0, "device": "cpu"}
#: The defaults of 0.1.0, with which events are still those of that version.
FIRST = SMALL | {"solver": "ab2", "grid": "uniform", "tree_features": "scores", "smooth_degree": 0, "bandwidth": 0.0}
#: Likewise, with columns as they are and a flow for all values of them.
PLAIN = FIRST | {"atoms": "apart", "relations": None}
N = 400


def digest(*tables):
    """Hash of tables or arrays: every bit of the numbers, every letter of the rest."""
    sha = hashlib.sha256()
    for table in tables:
        columns = table.items() if isinstance(table, pd.DataFrame) else [("", np.asarray(table))]
        for name, values in columns:
            values = np.asarray(values)
            text = values.dtype.kind in "OUSMm" or "str" in str(values.dtype)
            sha.update(f"{name} {values.shape}".encode())
            sha.update(repr(values.tolist()).encode() if text else np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()[:32]


def numbers(seed=0, n=600):
    """Correlated numbers, a spike, whole numbers, decimals, a missing value here and there."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    spiked = np.where(rng.random(n) < 0.3, 0.0, np.exp(x / 2 + 0.1 * rng.normal(size=n)))
    table = np.column_stack([x, spiked, rng.poisson(2 + (x > 0)), np.round(x + rng.normal(size=n), 2)])
    table[rng.random(n) < 0.1, 3] = np.nan
    return table


def frame(seed=0, n=600):
    """A data frame of every kind of column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "pt": np.exp(x),
            "charge": np.where(rng.random(n) < 0.5, -1, 1),
            "type": pd.Categorical(
                np.array(["e", "mu", "tau"])[np.digitize(x + 0.3 * rng.normal(size=n), [-0.5, 0.8])]
            ),
            "name": np.where(x > 0, "above", "below"),
            "tight": x > 1,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D"),
        }
    )


def labels(x):
    return np.array(["g", "q", "t"])[np.digitize(x[:, 0], [-0.5, 0.5])]


def _plain():
    return (BUFF(**PLAIN).fit(numbers()).sample(N),)


def _mixed():
    return (BUFF(**PLAIN).fit(frame()).sample(N),)


def _together():
    return (BUFF(**SMALL).fit(numbers()).sample(N), BUFF(**SMALL).fit(frame()).sample(N))


def _related():
    x = frame()
    x = x.assign(end=x["day"] + pd.to_timedelta(np.arange(600) % 50, "D"), sum=x["charge"] + x["day"].dt.dayofyear)
    model = BUFF(**SMALL, schema={"id": "integer"}, classes="together")
    return (model.fit(x.assign(id=np.arange(600)), condition="tight").sample(N),)


def _smooth():
    x = np.random.default_rng(0).normal(size=(600, 3))
    x[:, 1] = 1 + 0.9 * x[:, 0] + 0.4 * x[:, 1]
    x[:, 2] += x[:, 0] * x[:, 0]
    model = BUFF(**SMALL).fit(x[:, 1:], condition=x[:, 0])
    carried = BUFFTransport(**SMALL, smooth_rows=20).fit(x, x).sample(x)
    return BUFF(**SMALL).fit(x).sample(N), model.sample(N, condition=0.5), carried


def _onehot():
    return (BUFF(**PLAIN, categories="onehot", tails="extrapolate", layout="vector").fit(frame(1)).sample(N),)


def _conditional():
    x = numbers()
    model = BUFF(**PLAIN).fit(x[:, 1:3], condition=x[:, 0])
    return model.sample(N), model.sample(N, condition=0.5)


def _labelled():
    x = numbers()
    model = BUFF(**PLAIN, classes="together").fit(x, condition=labels(x))
    return model.sample(N, condition="t"), model.sample(N)


def _classes():
    x = numbers()
    model = BUFF(**PLAIN, classes="apart").fit(x, condition=labels(x))
    return model.sample(N), model.sample(N, condition="g")


def _weighted():
    rng = np.random.default_rng(3)
    return (BUFF(**PLAIN).fit(numbers(), sample_weight=rng.exponential(size=600)).sample(N),)


def _signed():
    rng = np.random.default_rng(3)
    weights = np.where(rng.random(600) < 0.15, -1.0, 1.0)
    model = BUFF(**PLAIN, negative_weights="smooth", coupling="transport").fit(numbers(), sample_weight=weights)
    return (model.sample(N),)


def _stochastic():
    model = BUFF(**PLAIN | {"solver": "heun", "grid": "uniform"}).fit(numbers())
    states = list(model.trajectory(20, random_state=5))
    return (model.sample(N, first_event=100, batch_size=37, random_state=4), *states)


def _distilled():
    student = BUFF(**PLAIN).fit(numbers()).distill(2, n_samples=2000, n_estimators=5)
    return (student.sample(N),)


def _paired():
    x = frame()
    source = x[["pt", "tight"]]
    model = BUFFTransport(**FIRST).fit(source, x[["pt", "day"]])
    return model.sample(source[:100]), model.sample(source[:100])


def _unpaired():
    x, y = numbers()[:, :3], numbers(1)[:, :3] + [0.5, 0, 1]
    model = BUFFTransport(**FIRST, coupling="transport").fit(x, y)
    return (model.sample(x),)


def _published():
    return (PublishedBUFF(n_steps=4, n_estimators=5, random_state=0).fit(numbers()[:, :3]).sample(N, random_state=1),)


def _unfolded(method, n_iterations=2):
    simulated, nature = gaussian_1d().sample(1500, 0), gaussian_1d(mean=0.5).sample(500, 1)
    if method == "reweight":
        generator = None
    else:
        kind = BUFFTransport if method == "bridge" else BUFF
        generator = kind(**(PLAIN if kind is BUFF else FIRST))
    unfolder = Unfolder(method, generator=generator, n_samples=10, n_iterations=n_iterations, random_state=0)
    result = unfolder.fit(simulated.truth, simulated.reco).unfold(nature.reco)
    return result.events, result.weights


@cache
def _scores():
    return metrics.report(frame(), frame(1), classifiers=["trees"], seeds=1, floor=False, n_bootstrap=5).to_dict()[
        "scores"
    ]


def _reported(name):
    return (np.array(sorted(_values(_scores()[name]))),)


def _values(part):
    """Numbers of a nested record, to ten digits."""
    if isinstance(part, dict):
        return [v for value in part.values() for v in _values(value)]
    if isinstance(part, list | tuple):
        return [v for value in part for v in _values(value)]
    return [float(f"{part:.10g}")] if isinstance(part, float) and np.isfinite(part) else []


#: Events that are pinned, by name.
EVENTS = {
    "plain": _plain,
    "mixed": _mixed,
    "smooth": _smooth,
    "together": _together,
    "related": _related,
    "onehot": _onehot,
    "conditional": _conditional,
    "labelled": _labelled,
    "classes": _classes,
    "weighted": _weighted,
    "signed": _signed,
    "stochastic": _stochastic,
    "distilled": _distilled,
    "paired": _paired,
    "unpaired": _unpaired,
    "published": _published,
    "unfolded": lambda: _unfolded("iterated"),
    "conditional unfolding": lambda: _unfolded("conditional", 1),
    "bridge": lambda: _unfolded("bridge"),
    "reweighted": lambda: _unfolded("reweight"),
}
#: Numbers of a report, to ten digits, which are the same with all vector instructions.
REPORTS = {name: partial(_reported, name) for name in ("columns", "trees", *MEASURES)}
