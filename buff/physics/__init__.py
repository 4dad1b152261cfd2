"""Physics in NumPy: clustering and splitting histories of jets."""

from buff.physics.nodes import JetKinematics, Nodes
from buff.physics.splitting import Splittings, SplittingTree

__all__ = ["JetKinematics", "Nodes", "SplittingTree", "Splittings"]
