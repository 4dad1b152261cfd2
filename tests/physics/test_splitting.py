import numpy as np
import pytest

from buff.physics import JetKinematics, SplittingTree
from buff.physics.context import node_context, root_context
from tests.physics.clouds import clouds


def there_and_back(cloud, tree):
    eta, phi, pt = np.moveaxis(cloud, -1, 0)
    nodes, splittings = tree.encode(eta, phi, pt)
    jets = JetKinematics.of(eta, phi, pt)
    return tree.grow(jets, tree.lookup(nodes, splittings), cloud.shape[1]), nodes, splittings, jets


@pytest.mark.parametrize("exponent", [1.0, 0.0, -1.0])
@pytest.mark.parametrize("radius", [2.0, 0.2])  # around all particles, and inside of many
def test_round_trip_is_exact(exponent, radius):
    cloud = clouds(n=200, k=12)
    back, *_ = there_and_back(cloud, SplittingTree(radius, exponent))
    assert np.allclose(back, cloud, atol=1e-9)


def test_fractions_lie_between_their_bounds():
    cloud = clouds(n=300, k=12)
    radius = np.hypot(cloud[..., 0], cloud[..., 1]).max()
    _, nodes, splittings, _ = there_and_back(cloud, SplittingTree(radius))
    for name in ("z", "share", "balance"):
        values = getattr(splittings, name)
        assert values.min() >= -1e-9, name
        assert values.max() <= 1 + 1e-9, name
    assert ((splittings.n_soft >= 1) & (splittings.n_soft < nodes.n)).all()


def test_whatever_is_put_in_sums_and_multiplicities_are_exact():
    cloud = clouds(n=200, k=10)
    tree = SplittingTree(0.5)
    _, _, splittings, jets = there_and_back(cloud, tree)
    rng = np.random.default_rng(1)

    def splitter(asked, attempt):
        n = len(asked)
        own = {name: rng.random(n) for name in ("z", "share", "balance")}
        return type(splittings)(n_soft=rng.integers(1, asked.n), angle=rng.uniform(-3, 3, n), **own)

    drawn = tree.grow(jets, splitter, 10)
    again = JetKinematics.of(*np.moveaxis(drawn, -1, 0))
    assert np.array_equal(again.n, jets.n)
    for name in ("pt", "eta", "phi", "moment"):
        assert np.allclose(getattr(again, name), getattr(jets, name), atol=1e-10), name
    assert (np.diff(drawn[..., 2], axis=1) <= 0).all()
    assert (drawn[..., 2].sum(axis=1) > 0).all()


def test_order_of_particles_does_not_matter():
    cloud = clouds(n=60, k=8)
    mixed = cloud[:, np.random.default_rng(0).permutation(8)]
    tree = SplittingTree(1.0)
    first, second = (there_and_back(c, tree)[0] for c in (cloud, mixed))
    assert np.allclose(first, second, atol=1e-10)


def test_reflected_jets_split_alike():
    cloud = clouds(n=60, k=8)
    tree = SplittingTree(1.0)
    _, nodes, own, _ = there_and_back(cloud, tree)
    _, other, mirrored, _ = there_and_back(cloud * [1, -1, 1], tree)
    assert np.array_equal(nodes.element, other.element)
    assert np.allclose(own.z, mirrored.z)
    assert np.allclose(np.exp(1j * own.angle), np.exp(1j * mirrored.angle), atol=1e-6)


def test_odd_jets():
    jets = np.zeros((4, 5, 3))
    jets[0, 0] = [0.1, 0.2, 1.0]  # a single particle
    jets[1, :2] = [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]  # the same one twice
    jets[2, :3] = [[0.0, 0.0, 1.0], [0.1, 0.0, 1.0], [0.2, 0.0, 1.0]]  # in a line, of equal pT
    jets[3, :5] = 0.3  # all in one point
    back, *_ = there_and_back(jets, SplittingTree(0.4))
    assert np.isfinite(back).all()
    assert np.allclose(np.sort(back, axis=1), np.sort(jets, axis=1), atol=1e-7)


def test_a_pair_is_inside_the_radius_for_any_fraction():
    tree = SplittingTree(0.4)
    rng = np.random.default_rng(2)
    cloud = np.zeros((500, 2, 3))
    r, phi = 0.4 * np.sqrt(rng.random((500, 2))), rng.uniform(0, 2 * np.pi, (500, 2))
    cloud[..., 0], cloud[..., 1], cloud[..., 2] = r * np.cos(phi), r * np.sin(phi), rng.exponential(size=(500, 2))
    _, _, splittings, jets = there_and_back(cloud, tree)
    other = type(splittings)(**vars(splittings) | {"z": rng.random(500)})
    drawn = tree.grow(jets, lambda asked, _: other.take(asked.jet), 2)
    away = np.hypot(drawn[..., 0], drawn[..., 1])
    narrow = jets.moment / jets.pt < 0.05  # the least reach may let others out
    assert np.mean(away[narrow] <= 0.4 + 1e-6) > 0.99


def test_context_is_finite_and_blind_to_reflection():
    cloud = clouds(n=80, k=9)
    tree, scale = SplittingTree(0.6), np.full(80, 500.0)
    contexts = []
    for own in (cloud, cloud * [1, -1, 1]):
        _, nodes, _, jets = there_and_back(own, tree)
        below = nodes.take(nodes.depth > 1)
        contexts.append(node_context(below, jets, scale, 0.6))
        assert np.isfinite(root_context(jets, scale)).all()
    assert np.isfinite(contexts[0]).all()
    assert np.mean(np.isclose(*contexts, atol=1e-6)) > 0.98


def test_real_splittings_are_allowed_and_crossed_ones_are_not():
    cloud = clouds(n=300, k=10, least=3)
    tree = SplittingTree(np.hypot(cloud[..., 0], cloud[..., 1]).max())
    _, nodes, splittings, jets = there_and_back(cloud, tree)
    assert tree.allowed(nodes, *tree.decode(nodes, splittings, jets)).mean() > 0.97
    turned = type(splittings)(**vars(splittings) | {"angle": np.zeros(len(nodes)), "z": np.full(len(nodes), 0.9)})
    assert tree.allowed(nodes, *tree.decode(nodes, turned, jets)).mean() < 0.9
