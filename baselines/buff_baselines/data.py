"""A table as a training problem: rows in the space of the model, their conditions, their pairing with noise."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from buff.couplings import MinibatchTransport, stratify
from buff_baselines.objectives import Objective
from buff_baselines.spaces import Levels
from buff_baselines.training import Rows

__all__ = ["TrainingData"]


@dataclass(frozen=True)
class TrainingData:
    """The rows in the space of the model, with their conditions, of which a share ``dropout`` of a batch sees none."""

    levels: Levels
    condition: Tensor | None
    rows: Rows
    dropout: float = 0.0

    @property
    def x1(self) -> Tensor:
        """One draw of all rows, (n, d)."""
        return self.levels.batch(torch.arange(len(self.levels.low)), torch.Generator().manual_seed(0))

    @property
    def width(self) -> float:
        """Standard deviation of the data, over all columns."""
        x1 = self.x1
        return float(x1.std()) if len(x1) > 1 and x1.numel() else 1.0

    def fingerprint(self, objective: Objective, coupling: str | None) -> str:
        """The same for the same rows, weights, conditions and objective, and for no others."""
        dropout = f" {self.dropout}" if self.dropout else ""
        digest = hashlib.sha256(f"{objective} {coupling}{dropout}".encode())
        for part in (self.levels.low, self.levels.high, self.condition, self.rows.train, self.rows.weights):
            digest.update(b"none" if part is None else part.numpy().tobytes())
        return digest.hexdigest()

    def to(self, device: torch.device) -> "TrainingData":
        """The same on a device."""
        condition = None if self.condition is None else self.condition.to(device)
        return TrainingData(self.levels.to(device), condition, self.rows.to(device), self.dropout)

    def loss(self, objective: Objective, coupling: str | None) -> Any:
        """``loss(network, rows, rng)`` of an objective, its pairs independent or by ``"transport"``."""
        strata = None if self.condition is None or coupling is None else stratify(self.condition.cpu().numpy())

        def loss(network: nn.Module, rows: Tensor, rng: torch.Generator) -> Tensor:
            x1 = self.levels.batch(rows, rng)
            x0 = torch.randn(x1.shape, generator=rng, device=rng.device)
            c = None if self.condition is None else self.condition[rows]
            if coupling is not None:
                labels = None if strata is None else strata[rows.cpu().numpy()]
                pairs = np.random.default_rng(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
                i, j = MinibatchTransport(256, labels)(x0.cpu().numpy(), x1.cpu().numpy(), pairs)
                x0, x1, c = x0[i], x1[j], None if c is None else c[j]
            if c is not None and self.dropout:
                kept = torch.rand(len(c), 1, generator=rng, device=rng.device) >= self.dropout
                c = torch.where(kept, c, torch.nan)
            return objective.loss(network, x0, x1, c, rng)

        return loss
