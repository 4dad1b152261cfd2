"""Which noise goes with which row."""

import numpy as np
import pytest

from buff import load
from buff.couplings import MinibatchTransport

RNG = np.random.default_rng(0)
N = 2000
X = RNG.choice([-3.0, 3.0], (N, 2)) + RNG.normal(size=(N, 2))


def test_events_have_the_distribution_of_the_rows(small):
    options = {"n_steps": 6, "n_estimators": 12, "max_depth": 6, "noise_budget": 10_000}
    for coupling in ("transport", MinibatchTransport(32, method="exact")):
        events = small(coupling=coupling, **options).fit(X).sample(N)
        assert np.abs(events.std(axis=0) / X.std(axis=0) - 1).max() < 0.05
        quarters = [np.bincount((2 * (T[:, 0] > 0) + (T[:, 1] > 0)), minlength=4) / N for T in (events, X)]
        assert np.abs(quarters[0] - quarters[1]).max() < 0.04
        assert (np.abs(events) < 1).any(axis=1).mean() < 2 * (np.abs(X) < 1).any(axis=1).mean()


def test_transport_straightens_the_way(small):
    """Noise in the corner of a cluster goes there: one step of Euler's method takes it most of the way."""
    bent = {}
    for coupling in ("independent", MinibatchTransport(64)):
        model = small(coupling=coupling, solver="euler", n_steps=8, n_estimators=12, noise_budget=10_000).fit(X)
        first, *_, last = states = [model.space_.transform(state) for state in model.trajectory(1000)]
        bent[isinstance(coupling, str)] = np.mean(
            [np.mean((s - first - i / 8 * (last - first)) ** 2) for i, s in enumerate(states)]
        )
    assert bent[False] < 0.7 * bent[True]


@pytest.mark.parametrize("c", [RNG.choice(["q", "t"], N), RNG.normal(size=N)], ids=["labels", "numbers"])
def test_conditions_keep_their_rows(small, c):
    shift = np.where(c == "t", 4.0, -4.0) if c.dtype.kind == "U" else 4 * c
    model = small(coupling=MinibatchTransport(64), grid="uniform", n_steps=6, n_estimators=12, noise_budget=10_000)
    events = model.fit(shift[:, None] + RNG.normal(size=(N, 1)), condition=c).sample(condition=c)[:, 0]
    # rows that lose their conditions are 8 off, or 6 wide: some 0.006 +- 0.002 of labels, by the trees
    assert abs((events - shift).mean()) < 0.15
    assert (abs(events - shift) > 5).mean() < 0.015
    assert abs((events - shift)[abs(events - shift) < 5].std() - 1) < 0.1
    assert [column.name for column in model.condition_schema_] == ["condition"]


def test_weights_count(small):
    weights = np.where(X[:, 0] > 0, 3.0, 1.0)
    events = small(coupling="transport", n_estimators=8).fit(X, sample_weight=weights).sample(N)
    assert abs((events[:, 0] > 0).mean() - np.average(X[:, 0] > 0, weights=weights)) < 0.04


def test_files_and_caches(small, tmp_path):
    model = small(coupling=MinibatchTransport(32), cache_dir=tmp_path / "c").fit(X)
    again = small(coupling=MinibatchTransport(32), cache_dir=tmp_path / "c").fit(X)
    assert np.array_equal(model.sample(20), again.sample(20))
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.coupling == MinibatchTransport(32)
    assert np.array_equal(back.sample(20), model.sample(20))
    assert not np.array_equal(small(cache_dir=tmp_path / "c").fit(X).sample(20), model.sample(20))


@pytest.mark.parametrize(
    ("coupling", "error", "message"),
    [
        ("paired", ValueError, r"coupling must be one of \['independent', 'transport'\].*'paired'"),
        (None, TypeError, "or a MinibatchTransport, found None"),
        (MinibatchTransport(labels=np.zeros(N)), ValueError, "coupling has labels: leave them out"),
    ],
)
def test_bad_couplings(small, coupling, error, message):
    with pytest.raises(error, match=message):
        small(coupling=coupling).fit(X)
