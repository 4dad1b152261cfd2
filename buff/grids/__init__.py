"""Where in time a solver stops: grids from noise (t = 0) to data (t = 1)."""

from buff.grids.noise import NOISE_GRIDS, noise_grid
from buff.grids.time_grid import GRIDS, TimeGrid, as_grid, get_grid, nearest

__all__ = ["GRIDS", "NOISE_GRIDS", "TimeGrid", "as_grid", "get_grid", "nearest", "noise_grid"]
