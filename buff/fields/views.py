"""Views of a field: its velocities counted, scaled, guided, clipped, reversed or moved to another path."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from buff.fields.sources import AbstractField, GaussianFlow
from buff.fields.steps import as_field
from buff.grids import nearest
from buff.paths import Path, get_path
from buff.protocols import Array
from buff.schedules import Backward

__all__ = ["Clipped", "Counted", "Framed", "Guided", "Retimed", "Reversed", "Scaled"]


class _Outer(AbstractField):
    """A field that asks another one, or a function."""

    field: AbstractField

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", as_field(self.field))

    @property
    def n_dims(self) -> int | None:
        return getattr(self.field, "n_dims", None)

    @property
    def at_every_time(self) -> bool:
        return self.field.at_every_time

    @property
    def piecewise_constant(self) -> bool:
        """Whether the field inside is constant by pieces."""
        return bool(getattr(self.field, "piecewise_constant", False))


class _OnPath(_Outer):
    """Path and nodes are those of the field inside."""

    @property
    def path(self) -> Path:  # type: ignore[override]
        return self.field.path

    @property
    def times(self) -> tuple[float, ...] | None:  # type: ignore[override]
        return self.field.times


class _View(_OnPath):
    """A field seen through another, in the same coordinates."""

    @property
    def gaussian(self) -> GaussianFlow | None:  # type: ignore[override]
        """Coordinates for solvers: those of the field inside."""
        return self.field.gaussian


@dataclass
class Counted(_View):
    """Counts how often the field is called, its nfe, and for how many rows in all, ``evaluations``.

    Adaptive solvers call it for some rows alone: ``evaluations`` over the rows of a batch is their mean nfe. What is
    counted is what is inside: ``Guided(Counted(field), 2.0)`` counts both calls of guidance.

    Examples
    --------
    >>> from buff.grids import TimeGrid
    >>> from buff.solvers import get_solver, integrate
    >>> import numpy as np
    >>> from buff.fields import TimeField
    >>> counted = Counted(TimeField(lambda x, t, condition: -x))
    >>> x1 = integrate(get_solver("heun"), counted, np.ones((5, 2)), TimeGrid.uniform(10))
    >>> counted.nfe
    20
    """

    field: AbstractField
    nfe: int = 0
    evaluations: int = 0

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        self.nfe, self.evaluations = self.nfe + 1, self.evaluations + len(x)
        return self.field(x, t, condition)

    def frame_velocity(self, x: Array, y: Array, t: float, condition: Array | None = None) -> Array:
        self.nfe, self.evaluations = self.nfe + 1, self.evaluations + len(x)
        return self.field.frame_velocity(x, y, t, condition)


@dataclass(frozen=True)
class Scaled(_View):
    """Each node's velocity multiplied by a factor of its own.

    Parameters
    ----------
    field : AbstractField
        A field with nodes.
    scales : sequence of float
        One factor a node.
    """

    field: AbstractField
    scales: Sequence[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        times = self.field.times
        if times is None:
            raise ValueError("Scaled needs a field with nodes: this one exists at every time")
        if len(times) != len(self.scales):
            raise ValueError(f"one scale a node: found {len(self.scales)} scales for {len(times)} nodes")

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        return float(self.scales[nearest(self.times or (), t)]) * self.field(x, t, condition)


@dataclass(frozen=True)
class Framed(_OnPath):
    """A field with a Gaussian part: a network's, whose data have known mean and covariance.

    Parameters
    ----------
    field : AbstractField
    gaussian : GaussianFlow
        Need not be exact: it sets the coordinates in which solvers such as ``"ifab2"`` extrapolate.

    Examples
    --------
    >>> import numpy as np
    >>> from buff.fields import TimeField
    >>> gauss = GaussianFlow.of(np.ones(2), np.array([[1.0, 0.9], [0.9, 1.0]]))
    >>> field = Framed(TimeField(lambda x, t, condition: gauss.velocity(x, t)), gauss)
    >>> bool(abs(field.frame_velocity(np.zeros((1, 2)), None, 0.5)).max() < 1e-12)
    True
    """

    field: AbstractField
    gaussian: GaussianFlow

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        return self.field(x, t, condition)


@dataclass(frozen=True)
class Guided(_View):
    """Classifier-free guidance: ``u = u_free + weight (u_conditional - u_free)``.

    Parameters
    ----------
    field : AbstractField
        Field trained with conditions.
    weight : float or callable
        1 follows the condition as learned, 0 ignores it, above 1 overstates it (useful: 1 to 5). A function of the time
        t of the path, from 0 (noise) to 1 (data), gives each its own, such as guidance within limits alone,
        ``lambda t: 3.0 if 0.2 < t < 0.8 else 1.0``. At weights of 0 and 1 one of the two fields is called.
    unconditional : AbstractField, optional
        The field without condition; by default ``field`` called with ``condition=None``, which networks of
        ``buff_baselines`` learn with ``condition_dropout``: of others give the ``field_`` of a second one, fitted
        without condition on the same rows. Trees with a condition have no ``field_`` to guide: their coordinates
        depend on it.

    References
    ----------
    Ho, Salimans, "Classifier-free diffusion guidance", 2022, arXiv:2207.12598 (their w is weight - 1); Kynkaanniemi et
    al., "Applying guidance in a limited interval improves sample and distribution quality", 2024, arXiv:2404.07724.

    Raises
    ------
    TypeError
        A weight that is neither a number nor a function that gives one.

    Examples
    --------
    >>> import numpy as np
    >>> from buff.fields import GaussianFlow, TimeField
    >>> one, all_of_them = (GaussianFlow.of(np.array([m]), np.eye(1) * e) for m, e in ((2.0, 1.0), (0.0, 5.0)))
    >>> one, all_of_them = (TimeField(lambda x, t, c, g=g: g.velocity(x, t)) for g in (one, all_of_them))
    >>> guided = Guided(one, 2.0, unconditional=all_of_them)
    >>> float(guided(np.zeros((1, 1)), 0.0).item())
    4.0
    """

    field: AbstractField
    weight: float | Callable[[float], float]
    unconditional: AbstractField | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.weight):
            _number(self.weight, "weight")
        if self.unconditional is not None:
            object.__setattr__(self, "unconditional", as_field(self.unconditional))

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        weight = _number(self.weight(t), f"weight({t:.6g})") if callable(self.weight) else self.weight
        if weight == 1:
            return self.field(x, t, condition)
        free = (self.unconditional or self.field)(x, t, None)
        return free if weight == 0 else free + weight * (self.field(x, t, condition) - free)


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TypeError(f"{name} of the guidance must be a number, or a function of t that gives one: found {value!r}")
    return number


@dataclass(frozen=True)
class Clipped(_View):
    """Denoised data cut to a range (thresholding), for example that of the training data.

    Parameters
    ----------
    field : AbstractField
        Any field.
    low, high : array of shape (d,) or float
        Range of each column, of the states' library.

    References
    ----------
    Saharia et al., 2022, arXiv:2205.11487 (static thresholding).
    """

    field: AbstractField
    low: Array
    high: Array

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        here, u = self.path.at(t), self.field(x, t, condition)
        if not here.sigma:
            return u
        return here.velocity(x, here.denoised(x, u).clip(self.low, self.high), "denoised")


@dataclass(frozen=True)
class Reversed(_OnPath):
    """The flow run from data to noise: ``-u(x, 1 - t)``, on the path read backwards.

    Examples
    --------
    >>> from buff.fields import TimeField
    >>> forth = TimeField(lambda x, t, condition: 2 * t * x)
    >>> Reversed(forth)(1.0, 0.25)
    -1.5
    """

    field: AbstractField

    @property
    def path(self) -> Path:  # type: ignore[override]
        return Path(Backward(self.field.path.schedule))

    @property
    def times(self) -> tuple[float, ...] | None:  # type: ignore[override]
        return self.field.times and tuple(1 - t for t in reversed(self.field.times))

    @property
    def gaussian(self) -> GaussianFlow | None:  # type: ignore[override]
        """Coordinates for solvers: those of the field inside, backwards."""
        return self.field.gaussian and self.field.gaussian.backwards()

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        return -self.field(x, 1 - t, condition)

    def frame_velocity(self, x: Array, y: Array, t: float, condition: Array | None = None) -> Array:
        return -self.field.frame_velocity(x, y, 1 - t, condition)


@dataclass(frozen=True)
class Retimed(_Outer):
    """A field moved to another path.

    Denoised data D and noise e are the same at equal ``sigma / alpha`` once states are rescaled; velocities
    are not, so they are rebuilt: ``u = alpha' D + sigma' e`` with the new path's derivatives.

    Parameters
    ----------
    field : AbstractField
        Field on its own path.
    path : Path
        Where to move it, for example ``REDUCED`` for a solver in sigma; a name or a Schedule will do. Nodes whose
        ``sigma / alpha`` it never reaches, such as pure noise, stay behind.

    References
    ----------
    Karras et al., 2022, arXiv:2206.00364, appendix B; Kingma, Gao, 2023, arXiv:2303.00848.

    Examples
    --------
    >>> from buff.fields import TimeField
    >>> from buff.paths import REDUCED
    >>> point = TimeField(lambda x, t, condition: 0 * x + 3.0, predicts="denoised")
    >>> Retimed(point, REDUCED)(43.0, 0.5)
    -80.0
    """

    field: AbstractField
    path: Path

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "path", get_path(self.path))

    @property
    def times(self) -> tuple[float, ...] | None:  # type: ignore[override]
        own = self.path.schedule
        if self.field.times is None:
            return None
        low, high = own.ratio(1.0), own.ratio(0.0)
        ratios = map(self.field.path.schedule.ratio, self.field.times)
        # ends that a schedule misses by round-off, such as cos(pi / 2), are ends
        least, most = low * (1 - 1e-9) - 1e-12, math.inf if high > 1e12 else high * (1 + 1e-9)
        kept = (min(max(ratio, low), high) for ratio in ratios if least <= ratio <= most)
        # a root finder has no time for an infinite ratio
        return tuple(0.0 if ratio == high else 1.0 if ratio == low else own.time(ratio) for ratio in kept)

    def __call__(self, x: Array, t: float, condition: Array | None = None) -> Array:
        outer = self.path.at(t)
        inner = self.field.path.at(self.field.path.time(outer.ratio))
        # the ratio of the signals and that of the noises are equal; their sums are never 0
        scale = (outer.alpha + outer.sigma) / (inner.alpha + inner.sigma)
        y = x / scale
        u = self.field(y, inner.t, condition)
        return outer.alpha_dot * inner.denoised(y, u) + outer.sigma_dot * inner.noise(y, u)
