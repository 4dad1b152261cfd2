"""Tables of scores as a chain of conditional distributions, column after column: exact densities, exact conditions."""

from buff.chains.cells import UNKNOWN, UNSEEN, VALUE, ScoreCells
from buff.chains.chain import Chain, ChainSettings
from buff.chains.trial import ChainCost

__all__ = ["UNKNOWN", "UNSEEN", "VALUE", "Chain", "ChainCost", "ChainSettings", "ScoreCells"]
