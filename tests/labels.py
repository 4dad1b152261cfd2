"""A table of labels that exclude each other."""

import numpy as np
import pandas as pd


def labels(n=4000, seed=0):
    """Two columns of labels that exclude each other, one with gaps where the fourth has some, and spikes beside them."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 6, n)
    second = np.where(first < 3, 0, rng.integers(1, 3, n))
    gap = rng.random(n) < 0.1
    wide = [np.where(gap, 0, rng.integers(1, 20, n)) for _ in range(2)]
    spikes = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 9, n))
    return np.column_stack([first, second, *wide, spikes, rng.integers(0, 12, n)])


def frame_of_labels(n, seed=0):
    """The first four as text, gaps as None, beside a column of numbers."""
    states = labels(n, seed)
    table = pd.DataFrame({f"c{j}": np.char.add("l", states[:, j].astype(str)) for j in range(4)})
    table[["c2", "c3"]] = table[["c2", "c3"]].where(states[:, 2:4] > 0, None)
    return table.assign(x=np.random.default_rng(seed).normal(size=n))


def contradictions(table, seen):
    """Rows with labels that exclude each other, and with one gap of two."""
    pairs = set(map(tuple, seen[["c0", "c1"]].dropna().to_numpy()))
    wrong = sum(tuple(row) not in pairs for row in table[["c0", "c1"]].to_numpy())
    return wrong, int((table["c2"].isna() != table["c3"].isna()).sum())
