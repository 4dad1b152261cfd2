"""The one training loop: a generator of step records, which can be stopped, watched, and resumed."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Rows", "StepRecord", "Trainer", "TrainingSettings"]

#: Loss of each row: (network, rows of the batch, source of noise) -> (n,).
BatchLoss = Callable[[nn.Module, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes
    ----------
    n_iterations : int
    batch_size : int
    learning_rate : float
        Of AdamW; rises linearly over ``warmup`` of the iterations, then falls as a cosine.
    weight_decay : float
    warmup : float
    ema : float
        Decay of the moving average of the weights, which is what is sampled; 0 for none.
    clip : float
        Largest norm of a gradient.
    early_stopping : int or None
        Stop when the loss on held-out rows has not fallen for so many checks.
    check_every : int
        Iterations between checks.
    max_seconds : float or None
        CPU time at which training stops, with the learning rate still falling to its end by then.
    bf16, compile : bool
        Arithmetic in half the bits; a compiled network. Both pay on GPUs.
    checkpoint : path or None
        File from which an interrupted training goes on.
    problem : str
        What is learned, so that a checkpoint of something else is noticed.
    seed : int
    """

    n_iterations: int = 8000
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.02
    ema: float = 0.999
    clip: float = 10.0
    early_stopping: int | None = None
    check_every: int = 250
    max_seconds: float | None = None
    bf16: bool = False
    compile: bool = False
    checkpoint: Path | None = None
    problem: str = ""
    seed: int = 0


@dataclass(frozen=True)
class StepRecord:
    """A look at the training.

    Attributes
    ----------
    iteration : int
    loss : float
        Mean over the batches since the last record.
    held_out : float or None
        Loss of the averaged network on rows left out, which there are with ``early_stopping`` alone.
    seconds : float
        CPU time since the start.
    """

    iteration: int
    loss: float
    held_out: float | None
    seconds: float


@dataclass(frozen=True)
class Rows:
    """Rows to train on and rows left out, as indices into the data."""

    train: Tensor
    held_out: Tensor
    weights: Tensor | None = None

    @classmethod
    def split(cls, n: int, share: float, seed: int, weights: np.ndarray | None = None) -> "Rows":
        """``share`` of n rows left out at random, at least one unless it is 0; rows without weight are in neither."""
        kept = np.arange(n) if weights is None else np.flatnonzero(weights)
        order = np.random.default_rng(seed).permutation(kept)
        k = min(max(1, int(share * len(order))), len(order) - 1) if share else 0
        tensor = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        return cls(torch.as_tensor(order[k:]), torch.as_tensor(order[:k]), tensor)

    def to(self, device: torch.device) -> "Rows":
        """The same on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Rows(self.train.to(device), self.held_out.to(device), weights)

    def mean(self, losses: Tensor) -> float:
        """Mean of the losses of the rows left out, by weight."""
        if self.weights is None:
            return float(losses.mean())
        weights = self.weights[self.held_out]
        return float((weights * losses).sum() / weights.sum())

    def batch(self, size: int, rng: torch.Generator) -> Tensor:
        """Rows of a batch, with replacement; by weight if there are weights."""
        if self.weights is None:
            return self.train[torch.randint(len(self.train), (size,), generator=rng, device=rng.device)]
        return self.train[torch.multinomial(self.weights[self.train], size, replacement=True, generator=rng)]


class Trainer:
    """A network on its way.

    Parameters
    ----------
    network : torch.nn.Module
        On the device where it is to be trained; the loss draws its noise there.
    loss : callable
        ``loss(network, rows, rng)``: losses of the rows of a batch.
    rows : Rows
    settings : TrainingSettings

    Attributes
    ----------
    averaged : torch.nn.Module
        The moving average of the network.
    history : list of StepRecord
        From the first iteration on, also of a training that was resumed.
    """

    def __init__(self, network: nn.Module, loss: BatchLoss, rows: Rows, settings: TrainingSettings) -> None:
        self.device = next(network.parameters()).device
        self.network, self.loss, self.rows, self.settings = network, loss, rows.to(self.device), settings
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.rng = torch.Generator(self.device).manual_seed(settings.seed)
        self.history: list[StepRecord] = []
        self.iteration, self.spent, self.best, self.worse = 0, 0.0, math.inf, 0
        self.best_state: dict[str, Tensor] | None = None

    def steps(self) -> Iterator[StepRecord]:
        """Train; a record after every ``check_every`` iterations and at the end."""
        s = self.settings
        if s.checkpoint is not None and Path(s.checkpoint).exists():
            self._resume(Path(s.checkpoint))
        run = torch.compile(self.network) if s.compile else self.network
        losses: list[float] = []
        while self.iteration < s.n_iterations and self._progress() < 1 and not self._stopped():
            start = time.process_time()
            losses.append(self._step(run))
            self.spent += time.process_time() - start
            if self.iteration % s.check_every == 0 or self.iteration == s.n_iterations:
                yield self._record(losses)
                losses = []
        if losses:
            yield self._record(losses)
        if self.best_state is not None:
            self.averaged.load_state_dict(self.best_state)

    def _step(self, run: Any) -> float:
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = s.learning_rate * self._rate()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=s.bf16):
            loss = self.loss(run, self.rows.batch(s.batch_size, self.rng), self.rng).mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at iteration {self.iteration}: lower learning_rate, now {s.learning_rate:g}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), s.clip)
        self.optimizer.step()
        self.iteration += 1
        # a young average follows quickly: the start is forgotten
        decay = min(s.ema, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
            for mean, now in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
                mean.copy_(now)
        return float(loss.detach())

    def _progress(self) -> float:
        done = self.iteration / self.settings.n_iterations
        return done if self.settings.max_seconds is None else max(done, self.spent / self.settings.max_seconds)

    def _rate(self) -> float:
        progress = min(self._progress(), 1.0)
        if progress < self.settings.warmup:
            return (progress + 1 / self.settings.n_iterations) / self.settings.warmup
        return 0.5 * (1 + math.cos(math.pi * progress))

    def _stopped(self) -> bool:
        patience = self.settings.early_stopping
        return patience is not None and self.worse >= patience

    def _record(self, losses: list[float]) -> StepRecord:
        held_out = self._held_out()
        record = StepRecord(self.iteration, float(np.mean(losses)), held_out, self.spent)
        self.history.append(record)
        if self.settings.early_stopping is not None:
            better = held_out is not None and held_out < self.best
            self.worse = 0 if better else self.worse + 1
            if held_out is not None and better:
                self.best, self.best_state = held_out, copy.deepcopy(self.averaged.state_dict())
        if self.settings.checkpoint is not None:
            self._save(Path(self.settings.checkpoint))
        return record

    def _held_out(self) -> float | None:
        if not len(self.rows.held_out):
            return None
        with torch.no_grad():  # always with the same noise, so that checks can be compared
            rng = torch.Generator(self.device).manual_seed(self.settings.seed + 1)
            return self.rows.mean(self.loss(self.averaged, self.rows.held_out, rng))

    def _save(self, path: Path) -> None:
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "best_state": self.best_state,
            "numbers": (self.iteration, self.spent, self.best, self.worse),
            "history": [astuple(record) for record in self.history],
            "training": self._training,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(path.suffix + ".part")
        torch.save(state, partial)
        os.replace(partial, path)

    def _resume(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
            message = f"checkpoint {path} is no checkpoint, or cut short: remove it, or name another file"
            raise ValueError(message) from error
        if state.get("training") != self._training:
            raise ValueError(f"checkpoint {path} is of another training: remove it, or name another file")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.set_state(state["rng"].cpu())
        self.best_state = state["best_state"]
        self.iteration, self.spent, self.best, self.worse = state["numbers"]
        self.history = [StepRecord(*record) for record in state["history"]]

    @property
    def _training(self) -> str:
        """Everything that must be the same for a training to be the same."""
        shapes = [tuple(p.shape) for p in self.network.parameters()]
        return f"{replace(self.settings, checkpoint=None, compile=False)} {shapes}"
