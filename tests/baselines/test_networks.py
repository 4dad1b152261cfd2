"""Networks by name: how fast they may change with the time."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from buff_baselines import NeuralDiffusion, NeuralFlow  # noqa: E402

from buff.datasets import TOYS  # noqa: E402
from buff.solvers import solver_errors  # noqa: E402

X = TOYS["moons"]().sample(1000, random_state=0)
SMALL = {"hidden": (48, 48), "n_iterations": 150, "batch_size": 512, "learning_rate": 5e-3, "random_state": 0}


def test_orders_show_at_few_steps_unless_waves_of_the_time_are_fast():
    """From 16 to 32 steps Heun's error falls fourfold, that of Runge and Kutta sixteenfold."""
    z = np.random.default_rng(0).standard_normal((100, 2))
    orders, errors = {}, {}
    for high in (NeuralFlow().max_frequency, 1000.0):
        field = NeuralFlow(max_frequency=high, **SMALL).fit(X).field_
        found = solver_errors(field, z, ["heun", "rk4"], [16, 32], fine=256).records
        orders[high], errors[high] = found[1].order, [record.error for record in found]
    smooth, rough = orders
    assert orders[smooth] == pytest.approx(2, abs=0.5)
    assert errors[smooth][2] > 8 * errors[smooth][3]
    assert errors[rough][3] > 20 * errors[smooth][3]


@pytest.mark.parametrize("kind", [NeuralFlow, NeuralDiffusion])
def test_files_that_tell_no_frequency_keep_theirs(kind):
    model = kind(max_frequency=1000, **SMALL | {"n_iterations": 5}).fit(X)
    archive = model.to_archive()
    parameters = {name: value for name, value in archive.record["parameters"].items() if name != "max_frequency"}
    again = kind.from_archive(replace(archive, record={**archive.record, "parameters": parameters}))
    assert again.max_frequency == 1000
    np.testing.assert_array_equal(again.sample(20), model.sample(20))
    assert not np.array_equal(kind(**SMALL | {"n_iterations": 5}).fit(X).sample(20), model.sample(20))


def test_a_frequency_is_a_number_above_one():
    with pytest.raises(ValueError, match="max_frequency must be above 1, found 0.5"):
        NeuralFlow(max_frequency=0.5).fit(X)
    with pytest.raises(TypeError, match="max_frequency must be a number, found 'high'"):
        NeuralFlow(max_frequency="high").fit(X)
