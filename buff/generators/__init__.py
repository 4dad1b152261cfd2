"""Estimators: the generators, and the recipes they are compared with."""

from buff.archive.loading import load
from buff.generators.buff import BUFF
from buff.generators.density import TreeDensity
from buff.generators.jets import JetBUFF
from buff.generators.published import PublishedBUFF
from buff.generators.showers import ShowerBUFF
from buff.generators.transport import BUFFTransport

__all__ = ["BUFF", "BUFFTransport", "JetBUFF", "PublishedBUFF", "ShowerBUFF", "TreeDensity", "load"]
