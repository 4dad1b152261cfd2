"""Physics in NumPy: calorimeters and how the energy of a shower divides among their voxels."""

from buff.physics.geometry import GEOMETRIES, Geometry, Layer
from buff.physics.split_tree import Split, SplitTree

__all__ = ["GEOMETRIES", "Geometry", "Layer", "Split", "SplitTree"]
