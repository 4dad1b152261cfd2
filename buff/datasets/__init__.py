"""Data: jets, showers and Z + jets that ship with buff, loaders of public files, toys and exact problems."""

from buff.datasets.calorimeter import Showers, load_calochallenge, load_showers, save_calochallenge
from buff.datasets.gaussians import GaussianMixture
from buff.datasets.jetnet import JetClouds, load_jet_clouds, load_jetnet, read_jetnet, write_jetnet
from buff.datasets.jets import INDEPENDENT_OBSERVABLES, load_jets
from buff.datasets.observables import jet_observables
from buff.datasets.table import Column, Table
from buff.datasets.toy_showers import make_showers
from buff.datasets.toys import TOYS, Toy
from buff.datasets.unfolding import SignedWeights, SmearedMixture, gaussian_1d, gaussian_2d, mixture_1d
from buff.datasets.zjets import OMNIFOLD_OBSERVABLES, PairedEvents, load_omnifold, load_zjets

__all__ = [
    "INDEPENDENT_OBSERVABLES",
    "OMNIFOLD_OBSERVABLES",
    "TOYS",
    "Column",
    "GaussianMixture",
    "JetClouds",
    "PairedEvents",
    "Showers",
    "SignedWeights",
    "SmearedMixture",
    "Table",
    "Toy",
    "gaussian_1d",
    "gaussian_2d",
    "jet_observables",
    "load_calochallenge",
    "load_jet_clouds",
    "load_jetnet",
    "load_jets",
    "load_omnifold",
    "load_showers",
    "load_zjets",
    "make_showers",
    "mixture_1d",
    "read_jetnet",
    "save_calochallenge",
    "write_jetnet",
]
