"""Tables to normal scores and back: quantile maps, categories, conditions."""

from buff.transforms.conditions import ConditionEncoder
from buff.transforms.quantile_map import QuantileMap
from buff.transforms.transformer import TableTransformer

__all__ = ["ConditionEncoder", "QuantileMap", "TableTransformer"]
