"""Perceptrons that take a state, a number that says how noisy it is, and a condition."""

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "MAX_FREQUENCY",
    "NETWORKS",
    "OptionalCondition",
    "Perceptron",
    "PlainPerceptron",
    "TabularPerceptron",
    "make_network",
    "parameter_count",
]


#: Largest frequency of the waves by which a network knows the time, in radians per unit of its level.
MAX_FREQUENCY = 30.0


def sinusoids(level: Tensor, n_features: int, high: float) -> Tensor:
    """cos and sin of ``level`` (n, 1) at ``n_features / 2`` frequencies from 1 to ``high``, shape (n, n_features)."""
    half = n_features // 2
    frequencies = torch.exp(torch.linspace(0, math.log(high), half, dtype=level.dtype, device=level.device))
    angles = level * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Perceptron(nn.Module):  # type: ignore[misc]
    """Hidden layers of equal kind on ``[x, sinusoids of the level, condition]``.

    Initial weights keep the width of the signal, most of it the state: with the usual ones a perceptron starts all but
    linear, and learns nothing for long where a Gaussian has taken off what is linear.

    Parameters
    ----------
    d, c : int
        Widths of state and condition.
    hidden : tuple of int
    n_outputs : int, optional
        d if not given.
    max_frequency : float
        Of the sinusoids: the higher, the faster the output may change with the level.
    """

    def __init__(
        self,
        d: int,
        c: int = 0,
        hidden: tuple[int, ...] = (256,) * 4,
        n_outputs: int | None = None,
        max_frequency: float = MAX_FREQUENCY,
    ) -> None:
        super().__init__()
        self.n_conditions = c
        self.n_features, self.max_frequency = 32, max_frequency
        widths = (d + c + self.n_features, *hidden)
        layers: list[nn.Module] = []
        for i, o in pairwise(widths):
            layers += [nn.Linear(i, o), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs or d))
        self._start(d)

    def _start(self, d: int) -> None:
        """Layers keep the width of their inputs; of the first, nine tenths are the state, not waves of the time."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.normal_(layer.weight, std=1.68 / math.sqrt(layer.in_features))  # what SiLU takes off
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            linear[-1].weight *= 0.1  # what is not learned yet is small
            first, waves = linear[0].weight, slice(d, d + self.n_features)
            first[:, :d] *= math.sqrt(0.9 * first.shape[1] / d)
            first[:, waves] *= math.sqrt(0.2 * first.shape[1] / self.n_features)  # their mean square is 1 / 2

    def forward(self, x: Tensor, level: Tensor, condition: Tensor | None = None) -> Tensor:
        parts = [x, sinusoids(level, self.n_features, self.max_frequency)]
        return self.layers(torch.cat(parts if condition is None else [*parts, condition], dim=-1))


class PlainPerceptron(nn.Module):  # type: ignore[misc]
    """Three layers of 64 SELU on ``[x, level, condition]``, the size of torchcfm's (9,738 parameters at d = 10)."""

    def __init__(self, d: int, c: int = 0, hidden: tuple[int, ...] = (64,) * 3, n_outputs: int | None = None) -> None:
        super().__init__()
        self.n_conditions = c
        widths = (d + c + 1, *hidden)
        layers: list[nn.Module] = []
        for i, o in pairwise(widths):
            layers += [nn.Linear(i, o), nn.SELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs or d))

    def forward(self, x: Tensor, level: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(torch.cat([x, level] if condition is None else [x, level, condition], dim=-1))


class TabularPerceptron(nn.Module):  # type: ignore[misc]
    """The network of TabDDPM (Kotelnikov et al., 2022, arXiv:2209.15421): 3.74 million parameters at d = 10.

    The state is projected to 128 features, to which an embedding of the level (and of the condition) is added.
    """

    def __init__(
        self,
        d: int,
        c: int = 0,
        hidden: tuple[int, ...] = (256, 1024, 1024, 1024, 1024, 256),
        n_outputs: int | None = None,
        max_frequency: float = MAX_FREQUENCY,
    ) -> None:
        super().__init__()
        self.n_conditions = c
        self.n_features, self.max_frequency = 128, max_frequency
        self.project = nn.Linear(d, self.n_features)
        self.embed = nn.Sequential(
            nn.Linear(self.n_features, self.n_features), nn.SiLU(), nn.Linear(self.n_features, self.n_features)
        )
        self.label = nn.Linear(c, self.n_features) if c else None
        widths = (self.n_features, *hidden)
        layers: list[nn.Module] = []
        for i, o in pairwise(widths):
            layers += [nn.Linear(i, o), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs or d))

    def forward(self, x: Tensor, level: Tensor, condition: Tensor | None = None) -> Tensor:
        features = sinusoids(level, self.n_features, self.max_frequency)
        if self.label is not None and condition is not None:
            features = features + nn.functional.silu(self.label(condition))
        return self.layers(self.project(x) + self.embed(features))


class OptionalCondition(nn.Module):  # type: ignore[misc]
    """A network that may do without its condition, as classifier-free guidance asks for (arXiv:2207.12598).

    Parameters
    ----------
    network : torch.nn.Module
        Takes c + 1 features of a condition: zeros where there is none, else the condition and a 1.
    c : int
        Width of a condition; rows of nan are those without, as is None.
    """

    def __init__(self, network: nn.Module, c: int) -> None:
        super().__init__()
        self.network, self.n_conditions, self.optional = network, c, True

    def forward(self, x: Tensor, level: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is None:
            return self.network(x, level, x.new_zeros(len(x), self.n_conditions + 1))
        given = ~condition.isnan().any(1, keepdim=True)
        return self.network(x, level, torch.cat([torch.where(given, condition, 0.0), given.to(condition)], dim=1))


NETWORKS = {"mlp": Perceptron, "torchcfm": PlainPerceptron, "tabddpm": TabularPerceptron}


def make_network(
    network: str | nn.Module,
    d: int,
    c: int = 0,
    hidden: tuple[int, ...] | None = None,
    n_outputs: int | None = None,
    max_frequency: float = MAX_FREQUENCY,
) -> nn.Module:
    """A network by name, or a copy of one's own that fits.

    Parameters
    ----------
    network : str or torch.nn.Module
        A module takes states (n, d), levels (n, 1) and conditions (n, c), None without, and gives (n, n_outputs).
    d, c : int
        Widths of state and condition.
    hidden : tuple of int, optional
        Widths of the layers of a network by name.
    n_outputs : int, optional
        d if not given.
    max_frequency : float
        Of the waves by which ``"mlp"`` and ``"tabddpm"`` know the level.

    Raises
    ------
    ValueError
        Unknown names, ``hidden`` with a module, a module without parameters, with outputs of another shape, or that
        takes no such inputs.

    Examples
    --------
    >>> parameter_count(make_network("torchcfm", 10)), parameter_count(make_network("tabddpm", 10))
    (9738, 3744394)
    """
    if isinstance(network, nn.Module):
        if hidden is not None:
            raise ValueError(f"hidden belongs to networks by name, found {hidden!r} with a module of your own")
        return _own(network, d, c, n_outputs or d)
    if isinstance(network, type) and issubclass(network, nn.Module):
        raise TypeError(f"network must be a module, found the class itself: {network.__name__}(...) makes one")
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}: choose one of {', '.join(NETWORKS)}, or give a torch.nn.Module")
    options: dict[str, Any] = {} if hidden is None else {"hidden": tuple(hidden)}
    if network != "torchcfm":  # which is told the level as a number
        options["max_frequency"] = max_frequency
    return NETWORKS[network](d, c, n_outputs=n_outputs, **options)


def _own(network: nn.Module, d: int, c: int, n_outputs: int) -> nn.Module:
    """A copy, after two rows went through it."""
    if not any(True for _ in network.parameters()):
        raise ValueError(f"network {type(network).__name__} has no parameters to train")
    own = copy.deepcopy(network).requires_grad_(True)
    like = next(own.parameters())
    x, level = torch.zeros(2, d).to(like), torch.full((2, 1), 0.5).to(like)
    wanted = (
        f"network {type(network).__name__} must give {n_outputs} outputs a row, shape (2, {n_outputs}) for two, when "
        f"called as network(x, level, condition) with states of width {d}, levels of width 1 and "
        f"{f'conditions of width {c}' if c else 'None for the condition'}"
    )
    with torch.no_grad():
        try:
            found = own.eval()(x, level, torch.zeros(2, c).to(like) if c else None)
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"{wanted}: it raised {type(error).__name__}: {error}") from error
    if not isinstance(found, Tensor) or found.shape != (2, n_outputs):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{wanted}: found {shape}")
    if not hasattr(own, "n_conditions"):
        own.n_conditions = c  # fields say what they miss
    return own.train()


def parameter_count(network: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in network.parameters())
