"""Estimators: the generators, and the recipes they are compared with."""

from buff.estimators.buff import BUFF
from buff.estimators.loading import load
from buff.estimators.published import PublishedBUFF
from buff.estimators.transport import BUFFTransport

__all__ = ["BUFF", "BUFFTransport", "PublishedBUFF", "load"]
