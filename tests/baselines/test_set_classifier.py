import numpy as np
import pytest

torch = pytest.importorskip("torch")
sets = pytest.importorskip("buff_baselines.set_classifier")

from tests.physics.clouds import clouds  # noqa: E402


def test_equal_samples_are_not_told_apart_and_different_ones_are():
    a, b = clouds(800, 6, 0), clouds(800, 6, 1)
    assert abs(sets.set_auc(a, b, n_epochs=3).value - 0.5) < 0.06
    assert sets.set_auc(a, b * [1.6, 1.6, 1.0], n_epochs=6).value > 0.65


def test_neither_order_nor_padding_counts():
    network = sets.DeepSet(4)
    features, pt = torch.randn(5, 6, 4), torch.rand(5, 6)
    pt[:, 4:] = 0
    features[:, 4:] = 0
    order = torch.randperm(6)
    whole = network(features, pt)
    assert torch.allclose(whole, network(features[:, order], pt[:, order]), atol=1e-5)
    assert torch.allclose(whole, network(features[:, :4], pt[:, :4]), atol=1e-5)


def test_a_mask_is_that_of_padding():
    a, b = clouds(200, 5, 2), clouds(200, 5, 3)
    masked = [np.concatenate([c, c[..., 2:] > 0], axis=2) for c in (a, b)]
    assert sets.set_auc(*masked, n_epochs=1).value == sets.set_auc(a, b, n_epochs=1).value
