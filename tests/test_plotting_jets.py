import numpy as np
import pytest

from tests.physics.clouds import clouds

pytest.importorskip("matplotlib")
plotting = pytest.importorskip("buff.plotting")


def test_displays_and_planes_draw_both_samples():
    real, generated = clouds(80, 6, 0), clouds(90, 6, 1)
    displays = plotting.event_displays(real, generated, n=3)
    assert len(displays.axes) == 6
    shown = displays.axes[0].collections[0].get_offsets()
    own = real[0][real[0, :, 2] > 0]
    assert np.allclose(shown, own[:, :2])
    planes = plotting.lund_planes(real, generated, bins=5)
    assert [axes.get_title() for axes in planes.axes[:3]] == ["real", "generated", "generated / real"]


def test_spectra_leave_padding_out():
    real, generated = clouds(50, 6, 0), clouds(50, 6, 1)
    spectra = plotting.particle_spectra(real, generated)
    assert len(spectra["pt of particles"][0]) == (real[..., 2] > 0).sum()
    assert np.array_equal(spectra["pt of particle 1"][1], generated[..., 2].max(axis=1))
    assert "pt of particle 20" not in spectra
