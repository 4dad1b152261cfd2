"""Draws the figures of README and of the gallery: ``python docs/figures/make.py``, about five minutes of a core."""

from pathlib import Path
from typing import Any

import numpy as np

import buff
import buff.datasets
from buff import plotting
from buff.datasets import load_jet_clouds, load_jets, load_showers, load_zjets

HERE = Path(__file__).parent


def save(figure: Any, name: str) -> None:
    figure.savefig(HERE / f"{name}.png", dpi=110, bbox_inches="tight")


def table() -> None:
    names = ["mass", "tau1", "tau2", "tau3"]
    train, test = load_jets("t").select(names).split(0.5, random_state=0)
    events = buff.BUFF(random_state=0).fit(train).sample(len(test), random_state=1)
    columns = dict(zip(names, np.asarray(events).T, strict=True))
    save(plotting.corner(test.data, columns), "table")


def jets() -> None:
    clouds = load_jet_clouds("t")
    learn = clouds.jets["event"] % 2 == 0
    train, test = clouds.particles[learn], clouds.particles[~learn]
    generated = buff.JetBUFF(random_state=0).fit(train).sample(len(test), random_state=1)
    save(plotting.event_displays(test, generated), "jets")
    save(plotting.lund_planes(test, generated), "lund")


def showers() -> None:
    photons = load_showers()
    showers, energies = photons.showers, photons.incident_energies
    model = buff.ShowerBUFF("ds1-photons", random_state=0).fit(showers[:2400], energies[:2400])
    generated = model.sample(energies[2400:], random_state=1)
    save(plotting.average_showers(showers[2400:], generated, "ds1-photons"), "showers")
    save(plotting.shower_profiles(showers[2400:], generated, "ds1-photons"), "profiles")


def unfolding() -> None:
    simulation, nature = load_zjets("nominal", 6000), load_zjets("alternative", 6000)
    unfolder = buff.Unfolder(random_state=0).fit(simulation.truth.to_arrow(), simulation.reco.to_arrow())
    result, bins = unfolder.unfold(nature.reco.to_arrow()), np.linspace(0, 60, 16)
    counts = np.histogram(nature.truth["mass"], bins)[0]
    save(result.plot_unfolded("mass", bins, truth=counts, truth_error=np.sqrt(counts), unit="GeV"), "unfolding")


def flow() -> None:
    moons = buff.datasets.TOYS["moons"]()
    gen = buff.BUFF(random_state=0).fit(moons.sample(3000, random_state=0))
    save(plotting.flow_trajectory(list(gen.trajectory(1500, random_state=1)), columns=["x", "y"]), "flow")


if __name__ == "__main__":
    for draw in (table, jets, showers, unfolding, flow):
        draw()
