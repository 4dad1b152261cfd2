"""Data sets print in one line."""

import numpy as np

from buff.datasets import JetClouds, Table, make_showers
from buff.datasets.table import Column


def test_data_sets_print_in_one_line():
    jets = Table((Column("jet_pt", "GeV"),), {"jet_pt": np.ones(9)})
    clouds = JetClouds(np.zeros((9, 30, 3), np.float32), jets)
    assert repr(clouds) == "JetClouds(particles: float32 (9, 30, 3), jets: Table(9 rows: jet_pt [GeV]))"
    text = repr(make_showers(20, "ds1-photons", random_state=0))
    assert text.startswith("Showers(incident_energies: float")
    assert len(text) < 300
