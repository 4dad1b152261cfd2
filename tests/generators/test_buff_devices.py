"""Models on graphics cards and on machines without."""

import numpy as np
import pytest

import buff.generators.parameters as parameters
from buff import load
from buff.trees import cuda_is_available

gpu = pytest.mark.gpu
needs_cuda = pytest.mark.skipif(
    not cuda_is_available(), reason="needs an NVIDIA GPU, an XGBoost built for CUDA and CuPy"
)


def test_auto_takes_what_there_is(monkeypatch):
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(parameters, "cuda_is_available", lambda there=there: there)
        assert parameters.resolve_device("auto") == device
        assert parameters.resolve_device("cpu") == "cpu"


def test_no_gpu_is_said(small, table, monkeypatch):
    monkeypatch.setattr(parameters, "cuda_is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device='cuda' needs an NVIDIA GPU.*\[gpu\].*use device='cpu'"):
        small(device="cuda").fit(table[0])


def moved(model, device, path, monkeypatch):
    """The model as a machine with that device loads it."""
    model.save(path)
    with monkeypatch.context() as patch:
        patch.setattr(parameters, "cuda_is_available", lambda: device == "cuda")
        return load(path)


def test_a_model_of_another_device_loads_here(model, tmp_path, monkeypatch):
    twin = moved(model, "cpu", tmp_path / "m", monkeypatch)
    assert twin.get_params()["device"] == "auto"
    assert twin.model_.device == "cpu"
    assert np.array_equal(twin.sample(20), model.sample(20))


@gpu
@needs_cuda
@pytest.mark.parametrize("layout", ["scalar", "vector", "sketch"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_fit_on_one_device_and_sample_on_the_other(small, table, tmp_path, monkeypatch, layout, device):
    other = "cpu" if device == "cuda" else "cuda"
    model = small(device=device, layout=layout).fit(table[0], condition=table[1])
    twin = moved(model, other, tmp_path / "m", monkeypatch)
    assert (model.model_.device, twin.model_.device) == (device, other)
    a, b = (m.sample(2000, random_state=3, condition=1) for m in (model, twin))
    # a state that rounds to the other side of a split moves on its own: all but a few events agree
    assert (np.isclose(a, b, rtol=1e-4, atol=1e-4).all(axis=1)).mean() > 0.99


@gpu
@needs_cuda
def test_events_of_a_gpu_do_not_depend_on_batches(small, table):
    model = small(device="cuda").fit(table[0])
    whole = model.sample(300, random_state=3)
    assert np.array_equal(model.sample(300, random_state=3, batch_size=37), whole)
    assert np.array_equal(model.sample(100, random_state=3, first_event=200), whole[200:])


@gpu
@needs_cuda
def test_both_devices_learn_the_same(small):
    rng = np.random.default_rng(0)
    X = rng.choice([-3.0, 3.0], 3000)[:, None] + rng.normal(size=(3000, 3))
    a, b = (small(device=device, noise_budget=20_000, n_steps=8).fit(X).sample(4000) for device in ("cpu", "cuda"))
    assert np.allclose(a.mean(axis=0), b.mean(axis=0), atol=0.3)
    assert np.allclose(np.corrcoef(a.T), np.corrcoef(b.T), atol=0.03)
