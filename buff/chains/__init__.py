"""Tables of scores as a chain of conditional distributions, column after column: exact densities, exact conditions."""

from buff.chains.cells import UNKNOWN, VALUE, ScoreCells
from buff.chains.chain import Chain, ChainSettings

__all__ = ["UNKNOWN", "VALUE", "Chain", "ChainSettings", "ScoreCells"]
