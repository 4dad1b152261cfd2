"""Physics in NumPy: clustering and splitting histories of jets; calorimeters and how showers divide among voxels."""

from buff.physics.geometry import GEOMETRIES, Geometry, Layer
from buff.physics.nodes import JetKinematics, Nodes
from buff.physics.split_tree import Split, SplitTree
from buff.physics.splitting import Splittings, SplittingTree

__all__ = [
    "GEOMETRIES",
    "Geometry",
    "JetKinematics",
    "Layer",
    "Nodes",
    "Split",
    "SplitTree",
    "SplittingTree",
    "Splittings",
]
