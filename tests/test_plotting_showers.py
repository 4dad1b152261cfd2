"""Figures of showers: what they show of each layer, and what they refuse."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("mplhep")

from buff.datasets import make_showers
from buff.plotting import average_showers, shower_displays, shower_histograms, shower_profiles
from buff.plotting.style import as_png

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def pair():
    return [make_showers(120, "ds1-photons", random_state=seed) for seed in (0, 1)]


def meshes(axis):
    return axis.collections[0].get_array()


def test_average_showers_have_a_circle_for_each_layer(pair):
    a, b = (data.showers for data in pair)
    figure = average_showers(a, b, "ds1-photons")
    circles = figure.axes[:-1]
    assert len(circles) == 10
    # rings of the layer in front, the same at all of the 180 angles of the picture
    drawn, truth = meshes(circles[0]).reshape(8, 180), a.mean(axis=0)[:8]
    np.testing.assert_allclose(drawn[:, 0], np.maximum(truth, drawn.min()), rtol=1e-5)
    assert (drawn == drawn[:, :1]).all()
    assert figure._repr_png_()[:4] == PNG


def test_displays_show_the_voxels_of_single_showers(pair):
    a, b = (data.showers for data in pair)
    figure = shower_displays(a, b, "ds1-photons", n=2)
    assert len(figure.axes) == 4 * 5 + 1
    assert [axis.get_title().split("\n")[0] for axis in figure.axes[:20:5]] == [
        "real",
        "real",
        "generated",
        "generated",
    ]
    drawn = meshes(figure.axes[1]).reshape(16, 180)
    for k in range(10):  # angles of layer 1, each 18 of the picture wide
        truth = a[0, 8:168].reshape(10, 16)[k]
        there = truth > drawn.min()
        np.testing.assert_allclose(drawn[there, 18 * k + 9], truth[there], rtol=1e-6)
    with pytest.raises(ValueError, match="n must be between 1 and .* 120, found 500"):
        shower_displays(a, b, "ds1-photons", n=500)


def test_empty_showers_are_drawn():
    nothing = np.zeros((1, 368))
    assert as_png(shower_displays(nothing, nothing, "ds1-photons"))[:4] == PNG


def test_profiles_and_histograms_have_ratios(pair):
    a, b = pair
    profiles = shower_profiles(a.showers, b.showers, "ds1-photons")
    assert len(profiles.axes) == 12
    ratio = profiles.axes[6].lines[0].get_ydata()
    expected = b.layer_energies.mean(axis=0) / a.layer_energies.mean(axis=0)
    np.testing.assert_allclose(ratio, expected, rtol=1e-4)
    figure = shower_histograms(
        a.showers, a.incident_energies, b.showers, b.incident_energies, "ds1-photons", names=("response", "energy_2")
    )
    assert [axis.get_title() for axis in figure.axes if axis.get_title()] == ["response", "energy 2 [MeV]"]
    assert as_png(figure)[:4] == PNG
