"""The source p0 of a flow: noise, given samples, or what a coupling pairs with a row."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from buff.couplings import MinibatchTransport, strata
from buff.flows.arrays import device_arrays
from buff.protocols import Array, Indices

__all__ = ["NOISE", "Source"]


@dataclass(frozen=True)
class Source:
    """Distribution p0 of the end x0 of the path to a row x1.

    Attributes
    ----------
    noise : float
        Standard deviation of independent normal noise.
    samples : float32 array of shape (n or m, d), optional
        What the noise is added to; without it, nothing. Without a coupling, one for each row.
    weights : array of shape (m,), optional
        Of samples that a coupling draws from.
    coupling : MinibatchTransport, optional
        Which x0 goes with which row. Without it, rows keep their samples and noise is independent of them.
    labels : array of n integers, optional
        Stratum of each row: pairs are exchanged within strata.
    sample_labels : array of m integers, optional
        Stratum of each sample.
    """

    noise: float = 1.0
    samples: Any = None
    weights: Array | None = None
    coupling: MinibatchTransport | None = None
    labels: Indices | None = None
    sample_labels: Indices | None = None

    @property
    def independent(self) -> bool:
        """Whether x0 says nothing about x1, and has mean 0."""
        return self.samples is None and self.coupling is None

    @property
    def random(self) -> bool:
        """Whether a second draw tells more than the first."""
        return self.noise > 0 or self.coupling is not None

    def to_device(self, device: str) -> "Source":
        """The same where the arithmetic is done; couplings are worked out on the processor."""
        if self.samples is None or self.coupling:
            return self
        return replace(self, samples=device_arrays(device)[0].asarray(self.samples))

    def take(self, rows: Indices) -> "Source":
        """The source of some of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        shared = self.samples is None or self.coupling is not None
        return replace(self, labels=labels, samples=self.samples if shared else self.samples[rows])

    def draw(self, x1: Array, rng: Any, device: str) -> Array:
        """x0 of every row, without a coupling."""
        xp, _ = device_arrays(device)
        if not self.noise:
            return self.samples
        x0 = rng.standard_normal(x1.shape, dtype=xp.float32)
        if self.noise != 1:
            x0 *= xp.float32(self.noise)
        return x0 if self.samples is None else x0 + self.samples

    def draw_coupled(self, x1: Array, weights: Array | None, rng: np.random.Generator) -> tuple[Array, Indices]:
        """x0 (n, d), and the n rows of x1 that they go with, drawn in proportion to their weights.

        Rows are drawn by weight instead of weighted: x0 that depends on its row, counted with the weight of the row,
        would no longer be distributed like the source.
        """
        assert self.coupling is not None
        n = len(x1)
        rows = np.arange(n) if weights is None else rng.choice(n, n, p=weights / weights.sum(dtype=np.float64))
        labels = np.zeros(n, np.intp) if self.labels is None else self.labels[rows]
        parts = []
        for label, members in strata(labels):
            stratum = rows[members]
            x0 = self._of_stratum(label, (len(stratum), x1.shape[1]), rng)
            i, j = self.coupling(x0, x1[stratum], rng)
            parts.append((x0[i], stratum[j]))
        return np.concatenate([x0 for x0, _ in parts]), np.concatenate([j for _, j in parts])

    def _of_stratum(self, label: Any, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        x0 = np.float32(self.noise) * rng.standard_normal(shape, dtype=np.float32)
        if self.samples is None:
            return x0
        rows = np.arange(len(self.samples))
        if self.sample_labels is not None:
            rows = np.flatnonzero(self.sample_labels == label)
        p = None if self.weights is None else self.weights[rows] / self.weights[rows].sum(dtype=np.float64)
        return x0 + self.samples[rng.choice(rows, shape[0], replace=shape[0] > len(rows) or p is not None, p=p)]


#: Standard normal noise.
NOISE = Source()
