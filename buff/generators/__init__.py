"""Estimators: the generators, and the recipes they are compared with."""

from buff.archive.loading import load
from buff.generators.buff import BUFF
from buff.generators.density import TreeDensity
from buff.generators.imputer import BUFFImputer
from buff.generators.jets import JetBUFF
from buff.generators.pooling import PooledEstimate, pool_estimates
from buff.generators.published import PublishedBUFF
from buff.generators.showers import ShowerBUFF
from buff.generators.sweep import SamplerComparison, compare_samplers
from buff.generators.transport import BUFFTransport

__all__ = [
    "BUFF",
    "BUFFImputer",
    "BUFFTransport",
    "JetBUFF",
    "PooledEstimate",
    "PublishedBUFF",
    "SamplerComparison",
    "ShowerBUFF",
    "TreeDensity",
    "compare_samplers",
    "load",
    "pool_estimates",
]
