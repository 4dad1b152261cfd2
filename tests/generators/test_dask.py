import joblib
import numpy as np
import pytest

from buff import BUFF

distributed = pytest.importorskip("distributed", reason="training on a cluster needs dask")


def test_a_cluster_trains_the_same_model():
    X = np.random.default_rng(0).exponential(size=(300, 2))
    options = {"noise_budget": 3000, "n_steps": 3, "random_state": 0}
    alone = BUFF(n_jobs=1, **options).fit(X)
    here = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with here as cluster, distributed.Client(cluster) as client:
        with joblib.parallel_config("dask"):
            together = BUFF(n_jobs=2, **options).fit(X)
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > 0  # it had work
    np.testing.assert_array_equal(together.sample(20), alone.sample(20))
