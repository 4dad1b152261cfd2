import numpy as np
import pytest

from buff.metrics import (
    CALO_BINS,
    ZJETS_BINS,
    automatic_bins,
    separation_power,
    total_variation,
    triangular_discriminator,
)


@pytest.fixture
def rng():
    return np.random.default_rng(13)


def test_equal_samples_have_none_and_disjoint_ones_full_separation(rng):
    x = rng.uniform(size=100)
    assert separation_power(x, rng.permutation(x), np.linspace(0, 1, 9)).value == 0.0
    assert separation_power(x, x + 1, np.linspace(0, 2, 3)).value == 1.0


def test_separation_by_hand():
    # p = (3/4, 1/4), q = (1/4, 3/4): S = 1/2 (1/4 + 1/4)
    s = separation_power([0, 0, 0, 1], [0, 1, 1, 1], bins=[-0.5, 0.5, 1.5])
    assert s.value == pytest.approx(0.25)
    thousandfold = triangular_discriminator([0, 0, 0, 1], [0, 1, 1, 1], bins=[-0.5, 0.5, 1.5])
    assert thousandfold.value == pytest.approx(250)


def test_what_is_outside_is_reported_and_left_out():
    s = separation_power([0.5, 1.5, -9.0, 2.0], [0.5, 1.5, 2.0, 7.0, 8.0], bins=[0, 1, 2])
    assert s.real_overflow == pytest.approx(1 / 4)
    assert s.generated_overflow == pytest.approx(2 / 5)
    # the upper edge belongs to the last bin
    assert s.value == pytest.approx(0.0)
    assert s.edges == (0.0, 1.0, 2.0)


def test_integer_weights_are_repeated_rows(rng):
    x, y = rng.normal(size=(2, 80))
    w, v = rng.integers(0, 4, size=(2, 80))
    for bins in (np.linspace(-2, 2, 7), 5):
        repeated = separation_power(np.repeat(x, w), np.repeat(y, v), bins)
        weighted = separation_power(x, y, bins, real_weights=w, generated_weights=v)
        assert weighted.value == pytest.approx(repeated.value)
        assert weighted.edges == pytest.approx(repeated.edges)


def test_signed_weights_are_exact():
    s = separation_power([0, 0, 0, 1], [0, 1], [-0.5, 0.5, 1.5], real_weights=[1, 1, -1, 1])
    assert s.value == pytest.approx(0.0)


def test_overlap_of_gaussians_in_fine_bins(rng):
    # 1/2 int (p - q)^2 / (p + q) for N(0, 1) and N(1, 1), by quadrature
    grid = np.linspace(-8, 9, 20_001)
    p, q = np.exp(-(grid**2) / 2), np.exp(-((grid - 1) ** 2) / 2)
    exact = 0.5 * np.sum((p - q) ** 2 / (p + q)) / p.sum()
    s = separation_power(rng.normal(size=200_000), rng.normal(1, 1, size=200_000), np.linspace(-5, 6, 100))
    assert s.value == pytest.approx(exact, abs=max(4 * s.error, 1e-3))


def test_published_bins():
    assert {name: (bins[0], bins[-1], len(bins)) for name, bins in ZJETS_BINS.items()} == {
        "mass": (1.0, 60.0, 31),
        "width": (0.0, 0.6, 31),
        "mult": (4.0, 60.0, 31),
        "ln_rho": (-14.0, -2.0, 31),
        "z_g": (0.05, 0.55, 31),
        "tau21": (0.1, 1.1, 31),
    }
    assert all((np.diff(bins) > 0).all() and not bins.flags.writeable for bins in CALO_BINS.values())


def test_automatic_bins_ignore_far_outliers(rng):
    edges = automatic_bins(np.append(rng.normal(size=10_000), 1e9))
    assert -5 < edges[0] < -2.5
    assert 2.5 < edges[-1] < 5
    assert separation_power(np.full(9, 1e12), np.full(9, 1e12)).value == 0.0


@pytest.mark.parametrize("bins", [[1, 0], [0], [0, 0, 1], 0])
def test_bad_bins(bins):
    with pytest.raises(ValueError, match="bins"):
        separation_power([0.5], [0.5], bins)


def test_nothing_in_range():
    with pytest.raises(ValueError, match="generated: no positive weight inside the bins 0 to 1"):
        separation_power([0.5], [7.0], [0, 1])
    with pytest.raises(ValueError, match="real: one column expected, found 2"):
        separation_power([[0.5, 1.0]], [0.5])


def test_total_variation_of_text_and_weights():
    real, generated = np.array(["b", "c", "light"]), np.array(["b", "tau"])
    assert total_variation(real, generated).value == pytest.approx(2 / 3)
    assert total_variation(real, generated, real_weights=[1, 0, 0]).value == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="generated: shape"):
        total_variation(real, [])
