import numpy as np
import pytest

from buff.errors import MissingExtraError
from buff.metrics import fpnd
from buff.metrics.particlenet import ParticleNet, resources

WIDTHS = (3, 64, 128, 256)


def random_state(seed=0):
    """Weights of the package's shapes."""
    rng = np.random.default_rng(seed)
    state, d = {}, WIDTHS[0]
    for i, width in enumerate(WIDTHS[1:]):
        for j, rows in ((0, 2 * d), (3, width), (6, width)):
            state[f"edge_nets.{i}.model.{j}.weight"] = rng.normal(size=(width, rows)) / np.sqrt(rows)
            state[f"edge_nets.{i}.model.{j}.bias"] = 0.1 * rng.normal(size=width)
            for name in ("weight", "running_var"):
                state[f"edge_nets.{i}.model.{j + 1}.{name}"] = rng.uniform(0.5, 2.0, width)
            for name in ("bias", "running_mean"):
                state[f"edge_nets.{i}.model.{j + 1}.{name}"] = 0.1 * rng.normal(size=width)
        d += width
    state |= {"fc1.0.weight": rng.normal(size=(256, d)) / np.sqrt(d), "fc1.0.bias": rng.normal(size=256)}
    return {name: values.astype(np.float32) for name, values in state.items()}


def jets(n, seed=0):
    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(n, 30, 3)) * [0.1, 0.1, 0.02] + [0, 0, 0.05]
    cloud[0, 25:] = 0  # padding takes part
    return cloud


def by_definition(state, jet):
    """Edge by edge, each layer as it is written."""
    x = jet / [1.6211985349655151, 0.520724892616272, 0.8934717178344727] + [0.0, 0.0, -0.5]
    for i in range(3):
        space, rows = x[:, :2] if i == 0 else x, []
        for k in range(len(x)):
            away = ((space - space[k]) ** 2).sum(axis=1)
            away[k] = np.inf
            edges = []
            for other in np.argsort(away, kind="stable")[:16]:
                y = np.concatenate([x[k], x[other] - x[k]])
                for j in (0, 3, 6):
                    layer, norm = f"edge_nets.{i}.model.{j}.", f"edge_nets.{i}.model.{j + 1}."
                    y = state[layer + "weight"] @ y + state[layer + "bias"]
                    y = (y - state[norm + "running_mean"]) / np.sqrt(state[norm + "running_var"] + 1e-5)
                    y = np.maximum(y * state[norm + "weight"] + state[norm + "bias"], 0)
                edges.append(y)
            rows.append(np.mean(edges, axis=0))
        x = np.hstack([rows, x])
    return state["fc1.0.weight"] @ x.mean(axis=0) + state["fc1.0.bias"]


def test_activations_follow_the_definition():
    state, cloud = random_state(), jets(2)
    found = ParticleNet.of(state).activations(cloud)
    assert np.allclose(found, [by_definition(state, jet) for jet in cloud], rtol=1e-3, atol=1e-3)


def test_order_of_particles_and_batches_do_not_matter():
    net, cloud = ParticleNet.of(random_state()), jets(70)
    found = net.activations(cloud)
    order = np.random.default_rng(1).permutation(30)
    assert np.allclose(found, net.activations(cloud[:, order]), atol=1e-3)
    assert np.allclose(found[-3:], net.activations(cloud[-3:]), atol=1e-3)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the same layout, with random weights; the folder of its files."""
    folder = tmp_path / "jetnet" / "evaluation" / "fpnd_resources" / "jetnet" / "30_particles"
    folder.mkdir(parents=True)
    (tmp_path / "jetnet" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_fpnd_takes_the_files_of_the_package(package):
    torch = pytest.importorskip("torch")
    state = random_state()
    torch.save({name: torch.tensor(values) for name, values in state.items()}, package / "pnet_state_dict.pt")
    real = ParticleNet.of(state).activations(jets(600, 1))
    np.savetxt(package / "t_mu.txt", real.mean(axis=0))
    np.savetxt(package / "t_sigma.txt", np.cov(real, rowvar=False))
    assert abs(fpnd(jets(600, 1), "t")) < 1e-4
    near, far = fpnd(jets(600, 2), "t"), fpnd(1.2 * jets(600, 2), "t")
    assert 0 < near < far


def test_a_package_without_the_files_says_so(package):
    assert package.exists()
    with pytest.raises(FileNotFoundError, match=r"pnet_state_dict.pt: FPND takes the weights of jetnet 0.2.5"):
        resources()


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("buff.metrics.particlenet.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="jetnet is not installed"):
        fpnd(jets(2), "t")
