"""Networks that need few field evaluations: students of a trained one."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from buff.errors import check_whole
from buff.grids import get_grid
from buff.randomness import seed_from
from buff.solvers import get_solver
from buff_baselines.checks import check_number
from buff_baselines.frames import FrameNetwork
from buff_baselines.generator import NeuralGenerator
from buff_baselines.parametrisations import Parametrisation
from buff_baselines.training import Rows, Trainer, TrainingSettings

__all__ = ["DISTILLATIONS", "distill"]

#: Rows that the teacher generates for its student to start from.
_ROWS = 50_000
DISTILLATIONS = ("progressive", "consistency", "consistency_training")


def distill(
    model: NeuralGenerator,
    n_steps: int = 2,
    method: str = "progressive",
    *,
    n_iterations: int = 2000,
    batch_size: int = 1024,
    learning_rate: float = 3e-4,
    random_state: Any = None,
) -> NeuralGenerator:
    r"""A student of a fitted network that samples in ``n_steps`` field evaluations.

    ``"progressive"`` halves the steps of Euler's rule until ``n_steps`` are left. On the linear path two steps of the
    teacher from x at t are one with the velocity

    .. math:: \tfrac12 \left[u(x, t) + u(x + h\,u(x, t),\, t + h)\right]

    ``"consistency"`` learns :math:`f(x, t) = x + (1 - t) F(x, t)` that is the same all along a path of the teacher,
    found by a Heun step; ``"consistency_training"`` takes x_t and x_{t+h} of the same pair of noise and data instead.
    Both are sampled with the solver ``consistency``.

    No data are needed: the teacher generates them.

    Parameters
    ----------
    model : NeuralFlow or NeuralDiffusion
        Fitted, without ``condition_dropout``.
    n_steps : int
        Field evaluations of the student: a power of 2 for ``"progressive"``.
    method : {"progressive", "consistency", "consistency_training"}
    n_iterations : int
        Of every halving, or of the whole training.
    batch_size, learning_rate
        See :class:`buff_baselines.training.TrainingSettings`.
    random_state : None, int or NumPy generator

    Returns
    -------
    NeuralFlow or NeuralDiffusion
        Fitted, with the solver, grid and steps of the student.

    References
    ----------
    Salimans, Ho, 2022, arXiv:2202.00512; Song, Dhariwal, Chen, Sutskever, 2023, arXiv:2303.01469.

    Examples
    --------
    >>> import numpy as np
    >>> from buff_baselines import NeuralFlow
    >>> X = np.random.default_rng(0).normal(3, 2, size=(500, 2))
    >>> flow = NeuralFlow(hidden=(32, 32), n_iterations=300, learning_rate=5e-3, random_state=0).fit(X)
    >>> student = distill(flow, 1, n_iterations=50, learning_rate=3e-3, random_state=0)
    >>> student.n_steps, bool(abs(student.sample(2000).std() - 2) < 0.4)
    (1, True)
    """
    check_is_fitted(model)
    if method not in DISTILLATIONS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(DISTILLATIONS)}")
    if model.condition_dropout:
        raise ValueError("students know their condition alone: distill a model fitted with condition_dropout=0")
    n_steps = check_whole("n_steps", n_steps, 1)
    if method == "progressive" and n_steps & (n_steps - 1):
        raise ValueError(f"n_steps must be a power of 2 for method='progressive', found {n_steps!r}")
    for name, value in (("n_iterations", n_iterations), ("batch_size", batch_size)):
        check_whole(name, value, 1)
    if not 0 < check_number("learning_rate", learning_rate) < 1:
        raise ValueError(f"learning_rate must lie in (0, 1), found {learning_rate!r}")
    seed = seed_from(random_state) % 2**31
    data = _Generated.by(model, seed)
    settings = TrainingSettings(n_iterations, batch_size, learning_rate, check_every=n_iterations, seed=seed)
    parametrisation = model.model_.field.parametrisation
    student = copy.deepcopy(model)
    network = copy.deepcopy(model.network_).requires_grad_(True)
    if method == "progressive":
        teacher = model.network_
        for halved in _halvings(n_steps):
            loss = data.loss(_progressive(teacher, parametrisation, halved))
            network = teacher = _trained(copy.deepcopy(teacher).requires_grad_(True), loss, data.rows, settings)
        solver = "euler"
    else:
        guide = model.network_ if method == "consistency" else None
        settings = replace(settings, ema=0.95)
        if isinstance(network, FrameNetwork):
            network.to_end()
        network = _consistency(network, guide, parametrisation, data, settings)
        solver = "consistency"
    field = replace(model.model_.field, network=network.requires_grad_(False).eval())
    grid = get_grid("uniform", n_steps)
    student.model_ = replace(model.model_, field=field, solver=get_solver(solver), grid=grid)
    student.set_params(solver=solver, grid="uniform", n_steps=n_steps)
    return student


@dataclass(frozen=True)
class _Generated:
    """Pairs of new noise and rows that the teacher generated, with their conditions."""

    x1: Tensor
    condition: Tensor | None
    rows: Rows

    @classmethod
    def by(cls, model: NeuralGenerator, seed: int) -> "_Generated":
        scores, features = model.draw_scores(_ROWS, seed)
        device = next(model.network_.parameters()).device
        condition = None if features is None else torch.as_tensor(features.copy()).to(device)
        return cls(torch.as_tensor(scores).to(device), condition, Rows.split(_ROWS, 0.0, seed))

    def loss(self, target: Callable[..., Tensor]) -> Any:
        def loss(network: nn.Module, rows: Tensor, rng: torch.Generator) -> Tensor:
            x1 = self.x1[rows]
            x0 = torch.randn(x1.shape, generator=rng, device=rng.device)
            return target(network, x0, x1, None if self.condition is None else self.condition[rows], rng)

        return loss


def _halvings(n_steps: int, start: int = 32) -> list[int]:
    """Steps of the student of each halving: 16, 8, ... down to ``n_steps``."""
    return [n for n in (start >> k for k in range(1, 6)) if n >= n_steps] or [n_steps]


def _progressive(teacher: nn.Module, parametrisation: Parametrisation, n: int) -> Callable[..., Tensor]:
    h = 1 / (2 * n)

    def loss(network: nn.Module, x0: Tensor, x1: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        t = torch.randint(n, (len(x1), 1), generator=rng, device=rng.device) / n
        x = t * x1 + (1 - t) * x0
        with torch.no_grad():
            first = parametrisation.field(teacher, x, t, c)
            target = (first + parametrisation.field(teacher, x + h * first, t + h, c)) / 2
        return (parametrisation.field(network, x, t, c) - target).square().mean(1)

    return loss


def _consistency(
    network: nn.Module,
    teacher: nn.Module | None,
    parametrisation: Parametrisation,
    data: _Generated,
    settings: TrainingSettings,
    n: int = 40,
) -> nn.Module:
    def end(net: nn.Module, x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        return x + (1 - t) * parametrisation.field(net, x, t, c)

    def loss(net: nn.Module, x0: Tensor, x1: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        t = torch.randint(n, (len(x1), 1), generator=rng, device=rng.device) / n
        s = t + 1 / n
        x = t * x1 + (1 - t) * x0
        with torch.no_grad():
            later = s * x1 + (1 - s) * x0 if teacher is None else _heun(teacher, parametrisation, x, t, s, c)
            target = torch.where(s > 1 - 1e-6, later, end(trainer.averaged, later, s, c))
        # pseudo-Huber (Song, Dhariwal, 2023, arXiv:2310.14189): rows far off count linearly
        width = 0.00054 * x1.shape[1] ** 0.5
        return ((end(net, x, t, c) - target).square().sum(1) + width**2).sqrt() - width

    trainer = Trainer(network, data.loss(loss), data.rows, settings)
    for _ in trainer.steps():
        pass
    return trainer.averaged


def _heun(
    teacher: nn.Module, parametrisation: Parametrisation, x: Tensor, t: Tensor, s: Tensor, c: Tensor | None
) -> Tensor:
    first = parametrisation.field(teacher, x, t, c)
    second = parametrisation.field(teacher, x + (s - t) * first, s, c)
    return x + (s - t) * (first + second) / 2


def _trained(network: nn.Module, loss: Any, rows: Rows, settings: TrainingSettings) -> nn.Module:
    trainer = Trainer(network, loss, rows, settings)
    for _ in trainer.steps():
        pass
    return trainer.averaged
