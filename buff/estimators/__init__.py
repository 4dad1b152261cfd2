"""Estimators: the generators, and the recipes they are compared with."""

from buff.estimators.buff import BUFF
from buff.estimators.loading import load
from buff.estimators.published import PublishedBUFF

__all__ = ["BUFF", "PublishedBUFF", "load"]
