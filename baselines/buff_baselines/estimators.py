"""Neural generators on tables: what differs from :class:`buff.BUFF` is the field."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from buff.archive import Archive
from buff.grids import TimeGrid
from buff.paths import LINEAR, Path, get_path
from buff.schedules import Linear, Schedule, Trigonometric
from buff_baselines.checks import check_number
from buff_baselines.frames import FrameMatching, FrameNetwork
from buff_baselines.generator import NeuralGenerator
from buff_baselines.networks import MAX_FREQUENCY
from buff_baselines.objectives import BridgeMatching, Diffusion, FlowMatching, Objective
from buff_baselines.parametrisations import Parametrisation

__all__ = ["NeuralDiffusion", "NeuralFlow"]


class NeuralFlow(NeuralGenerator):
    """Flow matching with a network: a perceptron, or one of your own.

    Parameters
    ----------
    method : {"icfm", "fm", "otcfm", "sbcfm", "vpcfm"}
        Independent pairs; these with a little noise left on the data; pairs by optimal transport inside batches; these
        with a bridge of noise between them (Schroedinger bridge); independent pairs on the trigonometric path.
    path : str, Path or Schedule, optional
        For ``"icfm"`` and ``"otcfm"``: the probability path that is trained at uniform times, a name for
        :func:`buff.paths.get_path` or a path of your own. The field is that of the linear path, to which states of
        other paths are proportional, so that any solver serves it. Files keep the schedules that have a name; saving
        another warns.
    network : {"mlp", "torchcfm", "tabddpm"} or torch.nn.Module
        See :mod:`buff_baselines.networks`; ``"mlp"`` sees 32 waves of the time beside the state. A module of your own
        is called as ``network(x, level, condition)`` with the state x of shape (n, d), the level of noise (n, 1) (the
        time t for a flow, ln(sigma) / 4 for a diffusion) and the condition (n, c), or None without; it returns (n, d),
        for ``"sbcfm"`` (n, 2 d), at the scale of standard normal numbers. A copy is trained. Load its file with
        ``NeuralFlow.load(path, network)``.
    frame : {"gaussian", "none"}, optional
        Whether the network gives what a Gaussian leaves of the velocity, in the frame of
        :class:`buff_baselines.frames.FrameNetwork`, or sees states as they are and gives all of their velocity. By
        default the former for the method ``"icfm"``, for which alone it can be.
    hidden : tuple of int, optional
        Widths of the layers, those of the network's authors by default.
    max_frequency : float
        Of the waves of the time that ``"mlp"`` and ``"tabddpm"`` see, in radians: frequencies from 1 to this one. The
        higher, the faster the velocity may change with the time, and the more steps solvers need to show their order.
        Files that do not tell it have 1000.
    solver, grid, n_steps
        How :meth:`sample` integrates: any name in :data:`buff.solvers.SOLVERS` (those in the frame of a Gaussian,
        ``"ifab2"``, need a network that learned in it), and for ``"sbcfm"`` also ``"bridge"``,
        its diffusion. Other samplers that add noise take pairs to be independent, which those of ``"otcfm"`` and
        ``"sbcfm"`` are not.
    n_iterations, batch_size, learning_rate, weight_decay, ema
        See :class:`buff_baselines.training.TrainingSettings`.
    early_stopping : int or None
        Stop when the loss on ``held_out`` rows has not fallen for so many checks.
    held_out : float
        Share of rows left out for that.
    condition_dropout : float
        Share of rows of a batch that are learned without their condition, so that ``sample(guidance=...)`` can
        overstate it; 0.1 is usual. A module of your own then sees another feature: 1 where there is a condition.
    max_seconds : float, optional
        CPU time of training.
    preprocessing : {"rank", "standard"}
        Normal scores as in BUFF, or standardised columns.
    noise : float, optional
        Of the bridge (1 by default), or left on the data by ``"fm"`` (0.001).
    negative_weights : {"error", "smooth", "cancel"}
        What becomes of event weights below 0: see :func:`buff.weights.positive_weights`.
    checkpoint : path, optional
        File, written at every check, from which an interrupted training goes on.
    bf16, compile : bool
        Arithmetic in half the bits, a compiled network: for GPUs.
    device : {"auto", "cpu", "cuda"}
    random_state : None, int or NumPy generator
    verbose : int

    Attributes
    ----------
    model_ : NeuralModel
        The network with its solver, arrays only.
    field_ : TorchField
        The velocity, for any solver, on the linear path, with the Gaussian part for ``"ifab2"`` where the network
        learned in its frame.
    history_ : tuple of StepRecord
        Iteration, loss, loss on rows left out (with ``early_stopping``) and CPU time, every 250 iterations.
    n_parameters_ : int

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(3, 2, size=(500, 2))
    >>> flow = NeuralFlow(hidden=(32, 32), n_iterations=300, learning_rate=5e-3, random_state=0).fit(X)
    >>> bool(abs(flow.sample(2000).mean() - 3) < 0.3)
    True
    """

    def __init__(
        self,
        method: str = "icfm",
        *,
        path: str | Path | Schedule | None = None,
        network: str | nn.Module = "mlp",
        frame: str | None = None,
        hidden: tuple[int, ...] | None = None,
        max_frequency: float = MAX_FREQUENCY,
        solver: str = "rk4",
        grid: str | TimeGrid | Sequence[float] = "uniform",
        n_steps: int = 4,
        n_iterations: int = 8000,
        batch_size: int = 1024,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        ema: float = 0.999,
        early_stopping: int | None = None,
        held_out: float = 0.1,
        condition_dropout: float = 0.0,
        max_seconds: float | None = None,
        preprocessing: str = "rank",
        noise: float | None = None,
        negative_weights: str = "error",
        checkpoint: str | os.PathLike[str] | None = None,
        bf16: bool = False,
        compile: bool = False,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.path = path
        self.network = network
        self.frame = frame
        self.hidden = hidden
        self.max_frequency = max_frequency
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
        self.condition_dropout = condition_dropout
        self.max_seconds = max_seconds
        self.preprocessing = preprocessing
        self.noise = noise
        self.negative_weights = negative_weights
        self.checkpoint = checkpoint
        self.bf16 = bf16
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _objective(self, width: float) -> Objective:
        objectives: dict[str, Callable[[], Objective]] = {
            "icfm": lambda: (FrameMatching if self._in_frame else FlowMatching)(self._path()),
            "fm": lambda: FlowMatching(Path(Linear(floor=self._left()))),
            "otcfm": lambda: FlowMatching(self._path()),
            "vpcfm": lambda: FlowMatching(Path(Trigonometric())),
            "sbcfm": lambda: BridgeMatching(self._noise(1.0)),
        }
        if self.method not in objectives:
            raise ValueError(f"unknown method {self.method!r}: choose one of {', '.join(objectives)}")
        if self.frame not in (None, "none", "gaussian"):
            raise ValueError(f"frame must be 'gaussian', 'none' or None, found {self.frame!r}")
        if self.frame == "gaussian" and self.method != "icfm":
            raise ValueError(f"frame belongs to the method icfm, found {self.frame!r} with {self.method!r}")
        if self.noise is not None and self.method not in ("fm", "sbcfm"):
            raise ValueError(f"noise belongs to the methods fm and sbcfm, found {self.noise!r} with {self.method!r}")
        if self.path is not None and self.method not in ("icfm", "otcfm"):
            raise ValueError(f"path belongs to the methods icfm and otcfm, found {self.path!r} with {self.method!r}")
        return objectives[self.method]()

    def _network(self, objective: Objective) -> nn.Module:
        network = super()._network(objective)
        return FrameNetwork(network, self.space_.n_dims_) if self._in_frame else network

    @property
    def _in_frame(self) -> bool:
        return self.method == "icfm" if self.frame is None else self.frame == "gaussian"

    def _load(self, archive: Archive) -> None:
        if "frame" not in archive.record["parameters"]:
            self.frame = "none"  # files of 0.1.0, whose networks saw states
        super()._load(archive)

    def _coupling(self) -> str | None:
        return "transport" if self.method in ("otcfm", "sbcfm") else None

    def _path(self) -> Path:
        return LINEAR if self.path is None else get_path(self.path)

    def _left(self) -> float:
        noise = self._noise(1e-3)
        if not 0 <= noise < 1:
            raise ValueError(f"noise, left on the data by the method fm, must lie in [0, 1), found {noise!r}")
        return noise

    def _noise(self, usual: float) -> float:
        return usual if self.noise is None else check_number("noise", self.noise)


class NeuralDiffusion(NeuralGenerator):
    """Diffusion with a perceptron: EDM, variance preserving, or the thousand steps of DDPM.

    All are sampled on the linear path, to which states of other paths are proportional, so that any solver and grid
    serve any of them.

    Parameters
    ----------
    method : {"edm", "vp", "cosine", "ddpm"}
        Which noise levels are trained how often: see :data:`buff_baselines.objectives.DENSITIES`; ``"edm"`` is
        log-normal.
    predicts : {"edm", "noise", "v", "data", "velocity"}, optional
        By default that of the method: EDM's preconditioned output, v for the cosine schedule, the noise for others.
    loss_weight : str or mapping, optional
        See :mod:`buff_baselines.weights`; plain squared error of the prediction by default. With parameters:
        ``{"name": "soft_min_snr_poster", "k": 3.0}``, ``{"name": "min_snr_v", "gamma": 10.0}``.

    Other parameters are those of :class:`NeuralFlow`.

    Examples
    --------
    >>> import numpy as np
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
        loss_weight: str | Mapping[str, Any] | None = None,
        network: str | nn.Module = "mlp",
        hidden: tuple[int, ...] | None = None,
        max_frequency: float = MAX_FREQUENCY,
        solver: str = "heun",
        grid: str | TimeGrid | Sequence[float] = "uniform",
        n_steps: int = 10,
        n_iterations: int = 8000,
        batch_size: int = 1024,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        ema: float = 0.999,
        early_stopping: int | None = None,
        held_out: float = 0.1,
        condition_dropout: float = 0.0,
        max_seconds: float | None = None,
        preprocessing: str = "rank",
        negative_weights: str = "error",
        checkpoint: str | os.PathLike[str] | None = None,
        bf16: bool = False,
        compile: bool = False,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.predicts = predicts
        self.loss_weight = loss_weight
        self.network = network
        self.hidden = hidden
        self.max_frequency = max_frequency
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
        self.condition_dropout = condition_dropout
        self.max_seconds = max_seconds
        self.preprocessing = preprocessing
        self.negative_weights = negative_weights
        self.checkpoint = checkpoint
        self.bf16 = bf16
        self.compile = compile
        self.device = device
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
