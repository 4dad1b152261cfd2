"""Neural generators on tables: what differs from :class:`buff.BUFF` is the field."""

import os
from typing import Any

from baselines.generator import NeuralGenerator, TrainingData
from baselines.objectives import BridgeMatching, Diffusion, FlowMatching, Objective
from baselines.parametrisations import Parametrisation

__all__ = ["NeuralDiffusion", "NeuralFlow"]


class NeuralFlow(NeuralGenerator):
    """Flow matching with a perceptron.

    Parameters
    ----------
    method : {"icfm", "otcfm", "sbcfm", "vpcfm"}
        Independent pairs; pairs by optimal transport inside batches; these with a bridge of noise between them
        (Schroedinger bridge); independent pairs on the trigonometric path.
    network : {"mlp", "torchcfm", "tabddpm"}
        See :mod:`baselines.networks`.
    hidden : tuple of int, optional
        Widths of the layers, those of the network's authors by default.
    solver, grid, n_steps
        How :meth:`sample` integrates: any name in :data:`buff.solvers.SOLVERS`.
    n_iterations, batch_size, learning_rate, weight_decay, ema
        See :class:`baselines.training.TrainingSettings`.
    early_stopping : int or None
        Stop when the loss on ``held_out`` rows has not fallen for so many checks.
    held_out : float
        Share of rows left out for that.
    max_seconds : float, optional
        CPU time of training.
    preprocessing : {"rank", "standard"}
        Normal scores as in BUFF, or standardised columns.
    bridge_noise : float
        Of ``"sbcfm"``.
    checkpoint : path, optional
        File from which an interrupted training goes on.
    bf16, compile : bool
    random_state : None, int or NumPy generator
    verbose : int

    Attributes
    ----------
    field_ : TorchField
        The velocity, for any solver.
    history_ : tuple of StepRecord
    n_parameters_ : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(3, 2, size=(500, 2))
    >>> flow = NeuralFlow(hidden=(32, 32), n_iterations=300, learning_rate=5e-3, random_state=0).fit(X)
    >>> bool(abs(flow.sample(2000).mean() - 3) < 0.3)
    True
    """

    def __init__(
        self,
        method: str = "icfm",
        *,
        network: str = "mlp",
        hidden: tuple[int, ...] | None = None,
        solver: str = "heun",
        grid: str = "uniform",
        n_steps: int = 10,
        n_iterations: int = 8000,
        batch_size: int = 1024,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        ema: float = 0.999,
        early_stopping: int | None = None,
        held_out: float = 0.1,
        max_seconds: float | None = None,
        preprocessing: str = "rank",
        bridge_noise: float = 1.0,
        checkpoint: str | os.PathLike[str] | None = None,
        bf16: bool = False,
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.network = network
        self.hidden = hidden
        self.solver = solver
        self.grid = grid
        self.n_steps = n_steps
        self.n_iterations = n_iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.ema = ema
        self.early_stopping = early_stopping
        self.held_out = held_out
        self.max_seconds = max_seconds
        self.preprocessing = preprocessing
        self.bridge_noise = bridge_noise
        self.checkpoint = checkpoint
        self.bf16 = bf16
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    def _objective(self, width: float) -> Objective:
        objectives: dict[str, Objective] = {
            "icfm": FlowMatching(),
            "otcfm": FlowMatching(),
            "vpcfm": FlowMatching(curved=True),
            "sbcfm": BridgeMatching(float(self.bridge_noise)),
        }
        if self.method not in objectives:
            raise ValueError(f"unknown method {self.method!r}: choose one of {', '.join(objectives)}")
        return objectives[self.method]

    def _coupling(self, data: "TrainingData") -> str | None:
        return "transport" if self.method in ("otcfm", "sbcfm") else None


class NeuralDiffusion(NeuralGenerator):
    """Diffusion with a perceptron: EDM, variance preserving, or the thousand steps of DDPM.

    All are sampled on the linear path, to which states of other paths are proportional, so that any solver and grid
    serve any of them.

    Parameters
    ----------
    method : {"edm", "vp", "cosine", "ddpm"}
        Which noise levels are trained how often: see :data:`baselines.objectives.DENSITIES`; ``"edm"`` is log-normal.
    predicts : {"edm", "noise", "v", "data", "velocity"}, optional
        By default that of the method: EDM's preconditioned output, v for the cosine schedule, the noise for others.
    loss_weight : str, optional
        See :mod:`baselines.weights`; plain squared error of the prediction by default.

    Other parameters are those of :class:`NeuralFlow`.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(3, 2, size=(500, 2))
    >>> diffusion = NeuralDiffusion(hidden=(32, 32), n_iterations=300, learning_rate=5e-3, random_state=0).fit(X)
    >>> bool(abs(diffusion.sample(2000).std() - 2) < 0.3)
    True
    """

    def __init__(
        self,
        method: str = "edm",
        *,
        predicts: str | None = None,
        loss_weight: str | None = None,
        network: str = "mlp",
        hidden: tuple[int, ...] | None = None,
        solver: str = "heun",
        grid: str = "uniform",
        n_steps: int = 10,
        n_iterations: int = 8000,
        batch_size: int = 1024,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        ema: float = 0.999,
        early_stopping: int | None = None,
        held_out: float = 0.1,
        max_seconds: float | None = None,
        preprocessing: str = "rank",
        checkpoint: str | os.PathLike[str] | None = None,
        bf16: bool = False,
        compile: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.predicts = predicts
        self.loss_weight = loss_weight
        self.network = network
        self.hidden = hidden
        self.solver = solver
        self.grid = grid
        self.n_steps = n_steps
        self.n_iterations = n_iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.ema = ema
        self.early_stopping = early_stopping
        self.held_out = held_out
        self.max_seconds = max_seconds
        self.preprocessing = preprocessing
        self.checkpoint = checkpoint
        self.bf16 = bf16
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose

    def _objective(self, width: float) -> Objective:
        usual = {
            "edm": ("lognormal", "edm"),
            "vp": ("vp", "noise"),
            "cosine": ("cosine", "v"),
            "ddpm": ("ddpm", "noise"),
        }
        if self.method not in usual:
            raise ValueError(f"unknown method {self.method!r}: choose one of {', '.join(usual)}")
        density, predicts = usual[self.method]
        predicts = self.predicts or predicts
        plain = "edm" if predicts == "edm" else f"uniform_{predicts}"
        parametrisation = Parametrisation(predicts, width if predicts == "edm" else 1.0)
        return Diffusion.normalised(parametrisation, density, self.loss_weight or plain)
