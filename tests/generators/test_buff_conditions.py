"""Events for given conditions."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import buff

N = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
CONDITIONS = {
    "1 and 2": RNG.choice([1, 2], N),
    "a and b": RNG.choice(["a", "b"], N),
    "-1 and 0.5": RNG.choice([-1, 0.5], N),
    "booleans": RNG.random(N) < 0.5,
    "three labels": RNG.choice(["q", "g", "t"], N).tolist(),
    "one label": np.full(N, "q"),
    "numbers": RNG.exponential(size=N),
    "two columns": RNG.normal(size=(N, 2)),
    "pandas": pd.DataFrame({"energy": RNG.exponential(size=N), "kind": RNG.choice(["e", "mu"], N)}),
    "polars series": pl.Series("kind", RNG.choice(["e", "mu"], N)),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_kind_of_condition(small, name):
    condition = CONDITIONS[name]
    model = small(n_estimators=2).fit(X, condition=condition)
    ask = condition.iloc[:20] if isinstance(condition, pd.DataFrame) else condition[:20]
    assert model.sample(condition=ask).shape == (20, 2)
    assert model.sample(20, condition=ask).shape == (20, 2)
    events, drawn = model.sample(50, return_condition=True)
    assert events.shape == (50, 2)
    assert type(drawn) is type(condition)
    assert len(drawn) == 50
    assert np.array_equal(model.sample(condition=drawn), events)
    events, returned = model.sample(condition=ask, return_condition=True)
    assert returned is ask


@pytest.mark.parametrize("name", ["1 and 2", "a and b", "numbers", "two columns", "pandas", "polars series"])
def test_no_events_at_all(small, name):
    none, empty = small(n_estimators=1).fit(X, condition=CONDITIONS[name]).sample(0, return_condition=True)
    assert (none.shape, len(empty)) == ((0, 2), 0)
    assert type(empty) is type(CONDITIONS[name])


def test_conditions_are_drawn_like_those_of_the_training(small):
    condition = pd.DataFrame({"energy": RNG.exponential(size=N)})
    condition["high"] = condition["energy"] > 1
    drawn = small(n_estimators=1).fit(X, condition=condition).sample(3000, return_condition=True)[1]
    assert abs(drawn["high"].mean() - condition["high"].mean()) < 0.05
    assert abs(drawn["energy"].mean() - condition["energy"].mean()) < 0.15
    assert (drawn["energy"] > 1)[drawn["high"]].mean() > 0.97


def test_one_row_is_everybodys(conditional):
    events = conditional.sample(30, condition=2, random_state=1)
    assert np.array_equal(events, conditional.sample(condition=np.full(30, 2), random_state=1))
    assert np.array_equal(events, conditional.sample(30, condition=[2], random_state=1, batch_size=7))
    assert events.shape == (30, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 5, "condition": [0, 1, 2]}, "condition has 3 rows and n_samples is 5"),
        ({"condition": [[0, 1]]}, "condition has 2 columns, expected 1"),
        ({"condition": [7]}, "unknown value 7; known values: 0, 1, 2"),
        ({"condition": ["a"]}, "condition"),
        ({"condition": np.zeros((2, 2, 2))}, "dim"),
    ],
)
def test_bad_conditions(conditional, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        conditional.sample(**options)


def test_bad_conditions_of_tables(small):
    condition = CONDITIONS["pandas"]
    model = small(n_estimators=1).fit(X, condition=condition)
    with pytest.raises(ValueError, match=r"lacks the columns \['energy', 'kind'\]"):
        model.sample(condition=condition.set_axis(["a", "b"], axis=1))
    with pytest.raises(ValueError, match="column 'kind' holds the unknown value 'tau'"):
        model.sample(condition=condition.assign(kind="tau"))
    swapped = condition[["kind", "energy"]]
    assert np.array_equal(model.sample(condition=swapped), model.sample(condition=condition))


def test_conditions_by_name(small):
    """A mapping, and a table that has more columns than the conditions."""
    condition = CONDITIONS["pandas"]
    model = small(n_estimators=1).fit(X, condition=condition)
    one = model.sample(5, condition={"kind": "e", "energy": 1.0})
    assert np.array_equal(one, model.sample(5, condition=pd.DataFrame({"energy": [1.0], "kind": ["e"]})))
    several = model.sample(condition={"energy": condition["energy"].to_numpy(), "kind": condition["kind"].tolist()})
    assert np.array_equal(several, model.sample(condition=condition.assign(weight=1.0)))


def test_names_of_conditions_fitted_as_an_array(small):
    model = small(n_estimators=1).fit(X, condition=np.column_stack([RNG.normal(size=N), RNG.normal(100, 1, N)]))
    swapped = model.sample(3, condition={"c1": 100.0, "c0": 0.5})
    assert np.array_equal(swapped, model.sample(3, condition=np.array([[0.5, 100.0]])))


def test_conditions_beyond_the_training_are_announced(small):
    energy = RNG.uniform(10, 100, N)
    model = small(n_estimators=1).fit(X, condition=pd.DataFrame({"energy": energy}))
    with pytest.warns(UserWarning, match=r"1 of 2 have energy outside (9|10)\.\d* \.\. (99|100)\.\d*, where it was"):
        model.sample(condition={"energy": [50.0, 150.0]})
    model.sample(condition=pd.DataFrame({"energy": energy}))


@pytest.mark.parametrize("n", [2, N - 1, N + 1])
def test_one_condition_a_row(small, n):
    with pytest.raises(ValueError, match=f"condition has {n} rows, X has {N}: they must agree"):
        small().fit(X, condition=np.arange(n) % 2)


def test_infinite_conditions_are_refused(small):
    with pytest.raises(ValueError, match="infinity"):
        small().fit(X, condition=np.r_[np.inf, np.ones(N - 1)])


@pytest.mark.parametrize("width", [1.0, 0.1])
def test_conditionals_are_as_wide_as_they_are(width):
    """One event a condition: neither learned by heart (too narrow) nor blurred (too wide)."""
    rng = np.random.default_rng(5)
    c = rng.standard_normal(4000)
    gen = buff.BUFF(random_state=0).fit((c + width * rng.standard_normal(4000))[:, None], condition=c)
    asked = np.linspace(-1.5, 1.5, 5)
    draws = np.stack([gen.sample(4000, condition=[value], random_state=1)[:, 0] for value in asked])
    ratio = draws.std(axis=1) / width
    assert np.allclose(ratio, 1, atol=0.2)
    assert abs(ratio.mean() - 1) < 0.07
    assert np.sqrt(np.mean(((draws.mean(axis=1) - asked) / width) ** 2)) < 0.15
