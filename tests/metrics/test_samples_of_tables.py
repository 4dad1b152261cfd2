"""Every metric takes a table of buff's own."""

import numpy as np
import pytest

from buff import metrics
from buff.datasets import Column, Table


def table(n, seed):
    rng = np.random.default_rng(seed)
    data = {"pt": rng.normal(size=n), "n": rng.poisson(9, n), "eta": rng.normal(size=n).astype(np.float32)}
    return Table(tuple(Column(name) for name in data), data)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("wasserstein", {}),
        ("sliced_wasserstein", {}),
        ("energy_distance", {}),
        ("mmd", {}),
        ("fpd", {}),
        ("c2st", {}),
        ("correlation_distance", {}),
        ("precision_recall", {}),
    ],
)
def test_a_table_is_the_array_of_its_columns(name, parameters):
    x, y = table(120, 0), table(120, 1)
    if name == "wasserstein":
        x, y = x.select(["pt"]), y.select(["pt"])
    own = getattr(metrics, name)(x, y, random_state=0, **parameters)
    assert repr(own) == repr(getattr(metrics, name)(x.to_numpy(), y.to_numpy(), random_state=0, **parameters))


def test_categories_of_a_table():
    x, y = (Table((Column("tag"),), {"tag": np.array(v)}) for v in (["b", "b", "c", "c"], ["b", "c", "c", "c"]))
    assert metrics.total_variation(x, y, n_bootstrap=0).value == 0.25
    assert metrics.total_variation(table(50, 0).select(["n"]), table(50, 0).select(["n"])).value == 0
    with pytest.raises(TypeError, match="real: numbers expected"):
        metrics.energy_distance(x, y)


def test_tables_of_other_columns_are_not_compared():
    x = table(50, 0)
    with pytest.raises(ValueError, match="real has the columns pt, n, eta, generated eta, n, pt"):
        metrics.energy_distance(x, x.select(["eta", "n", "pt"]))
