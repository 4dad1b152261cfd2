r"""What an error at a noise level counts, each curve with the space it was written for.

The same curve in front of another loss is another objective, so every weight is brought to the space of the denoised
data, where with :math:`\sigma` the noise-to-signal ratio and :math:`s` the width of the data

========  =====================================================================
space     its squared error, as a multiple of :math:`|D - x_1|^2`
========  =====================================================================
data      1
noise     :math:`1 / \sigma^2`
v         :math:`1 + 1 / \sigma^2`
velocity  :math:`(1 + 1 / \sigma)^2`, on the linear path
edm       :math:`1 / c_\mathrm{out}^2 = (\sigma^2 + s^2) / (\sigma s)^2`
========  =====================================================================

A weight that is constant at each level has no effect on trees that are trained level by level.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from numbers import Real
from typing import Any

__all__ = ["LOSS_WEIGHTS", "SPACES", "LossWeight", "get_loss_weight", "soft_min_snr", "soft_min_snr_poster"]

#: Squared errors of each space, as multiples of that of the denoised data.
SPACES: dict[str, Callable[[Any, float], Any]] = {
    "data": lambda sigma, s: sigma * 0 + 1.0,
    "noise": lambda sigma, s: 1 / sigma**2,
    "v": lambda sigma, s: 1 + 1 / sigma**2,
    "velocity": lambda sigma, s: (1 + 1 / sigma) ** 2,
    "edm": lambda sigma, s: (sigma**2 + s**2) / (sigma * s) ** 2,
}


def _min_snr(sigma: Any, gamma: float = 5.0) -> Any:
    snr = 1 / sigma**2
    return snr * (snr < gamma) + gamma * (snr >= gamma)


def _min_snr_data(sigma: Any, s: float, gamma: float = 5.0) -> Any:
    return _min_snr(sigma, gamma)


def _min_snr_noise(sigma: Any, s: float, gamma: float = 5.0) -> Any:
    return _min_snr(sigma, gamma) * sigma**2


def _min_snr_v(sigma: Any, s: float, gamma: float = 5.0) -> Any:
    return _min_snr(sigma, gamma) / (1 + 1 / sigma**2)


def soft_min_snr(sigma: Any, s: float, k: float = 2.0) -> Any:
    r""":math:`(\sigma s)^2 / (\sigma^2 + s^k)^2`; for k = 2, :math:`1 / (\sigma^2 + s^2)` in the space of the data."""
    return (sigma * s) ** 2 / (sigma**2 + s**k) ** 2


def soft_min_snr_poster(sigma: Any, s: float, k: float = 2.0) -> Any:
    r""":math:`\sigma s / (\sigma^2 + s^k)^2`, as printed: without the square, low noise counts far more."""
    return sigma * s / (sigma**2 + s**k) ** 2


@dataclass(frozen=True)
class LossWeight:
    """A curve and its space.

    Attributes
    ----------
    space : {"data", "noise", "v", "velocity", "edm"}
    curve : callable
        Of the noise-to-signal ratio and the width of the data.
    reference : str

    Examples
    --------
    >>> round(get_loss_weight("soft_min_snr").curve(0.1, 0.5), 10)
    0.0369822485
    >>> round(get_loss_weight("soft_min_snr_poster").curve(0.3, 0.5), 8)
    1.29757785
    """

    space: str
    curve: Callable[[Any, float], Any]
    reference: str

    def of_data(self, sigma: Any, s: float) -> Any:
        """The weight of ``|D - x1|^2``."""
        return self.curve(sigma, s) * SPACES[self.space](sigma, s)


LOSS_WEIGHTS = {
    "edm": LossWeight("data", SPACES["edm"], "Karras et al., 2022, arXiv:2206.00364"),
    "min_snr": LossWeight("data", _min_snr_data, "Hang et al., 2023, arXiv:2303.09556"),
    "min_snr_noise": LossWeight("noise", _min_snr_noise, "Hang et al., 2023, arXiv:2303.09556"),
    "min_snr_v": LossWeight("v", _min_snr_v, "Hang et al., 2023, arXiv:2303.09556"),
    "soft_min_snr": LossWeight("edm", soft_min_snr, "Crowson et al., 2024, arXiv:2401.11605"),
    "soft_min_snr_poster": LossWeight("edm", soft_min_snr_poster, "poster of Jiang et al. on arXiv:2401.13162"),
}
for _space in ("data", "noise", "v", "velocity"):
    LOSS_WEIGHTS[f"uniform_{_space}"] = LossWeight(_space, lambda sigma, s: sigma * 0 + 1.0, "plain squared error")


def get_loss_weight(name: str | Mapping[str, Any]) -> LossWeight:
    """A loss weight by name, or by a mapping of its name and parameters of its curve (gamma; k).

    Raises
    ------
    ValueError, TypeError
        Unknown name or parameter, or a value that is no positive number.

    Examples
    --------
    >>> round(get_loss_weight({"name": "soft_min_snr_poster", "k": 3.0}).curve(0.3, 0.5), 6)
    3.244997
    """
    if not isinstance(name, str | Mapping) or (isinstance(name, Mapping) and "name" not in name):
        raise TypeError(f"loss_weight must be a name, or a mapping with a 'name' and its parameters: found {name!r}")
    parameters = {} if isinstance(name, str) else {key: value for key, value in name.items() if key != "name"}
    name = name if isinstance(name, str) else name["name"]
    if name not in LOSS_WEIGHTS:
        raise ValueError(f"unknown loss weight {name!r}: choose one of {', '.join(LOSS_WEIGHTS)}")
    weight = LOSS_WEIGHTS[name]
    known = list(signature(weight.curve).parameters)[2:]
    for key, value in parameters.items():
        if key not in known:
            raise ValueError(f"loss weight {name} has no parameter {key!r}: choose from {', '.join(known) or 'none'}")
        if not isinstance(value, Real) or not 0 < float(value) < float("inf"):
            raise ValueError(f"{key} of {name} must be a positive number: found {value!r}")
    return replace(weight, curve=partial(weight.curve, **parameters)) if parameters else weight
