"""What a quantile map in a file may be."""

from typing import Any

import numpy as np

from buff.protocols import Array
from buff.records import checked_array, checked_number, checked_record, require

__all__ = ["check_quantile_map"]


def check_quantile_map(record: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Raise ArchiveError unless these are the parts of a map."""
    numbers = ("missing", "margin", "lower", "upper", "unit")
    checked_record(record, "a quantile map", (*numbers, "lattice", "below", "above"))
    checked_record(arrays, "a quantile map", ("u", "x", "atoms", "starts", "masses"))
    u = checked_array(arrays["u"], "levels", (None,), low=0, high=1 + 1e-9, rising=True)
    checked_array(arrays["x"], "knots", u.shape, rising=True)
    atoms = checked_array(arrays["atoms"], "atoms", (None,), rising=True)
    starts = checked_array(arrays["starts"], "starts of atoms", atoms.shape, low=0, high=1 + 1e-9, rising=True)
    masses = checked_array(arrays["masses"], "masses of atoms", atoms.shape, low=0, high=1 + 1e-9)
    require(not len(atoms) or (starts + masses).max() <= 1 + 1e-6, "atoms own levels above 1")
    checked_number(record["missing"], "the share of missing values", 0, 1)
    checked_number(record["margin"], "the margin", 0, 1)
    checked_number(record["unit"], "the unit", 2.0**-1074)
    for key in ("lower", "upper"):
        if record[key] is not None:
            checked_number(record[key], f"the {key} bound")
    for key in ("below", "above"):
        if record[key] is not None:
            tail = checked_record(record[key], f"the tail {key}", ("start", "mass", "scale", "shape"))
            limits = {"mass": (0.0, 1.0), "scale": (0.0, np.inf), "shape": (-1e3, 1e3)}
            for part, value in tail.items():
                checked_number(value, f"{part} of the tail {key}", *limits.get(part, (-np.inf, np.inf)))
    if record["lattice"] is not None:
        for part, value in checked_record(record["lattice"], "the lattice", ()).items():
            if value is not None and not isinstance(value, bool):
                checked_number(value, f"{part} of the lattice")
