"""A field bound to one batch: its condition, its noise, its path."""

import math
from dataclasses import dataclass, replace

from buff.paths import LINEAR, Marginal, Path
from buff.protocols import Array, Field, Noise

__all__ = ["BoundField", "check_finite"]


@dataclass(frozen=True)
class BoundField:
    """What a solver's step sees: velocities and predictions of a batch, checked as they come.

    Parameters
    ----------
    field : Field
        Velocity; a plain function is taken to live on the linear path.
    condition : array of shape (n, c), optional
        Passed to the field.
    noise : Noise, optional
        Standard normal numbers like its argument.
    left : int, optional
        Steps left to take, this one included, where that is known.
    """

    field: Field
    condition: Array | None = None
    noise: Noise | None = None
    left: int | None = None

    @property
    def path(self) -> Path:
        """The path the field lives on."""
        path: Path = getattr(self.field, "path", LINEAR)
        return path

    def rows(self, chosen: Array) -> "BoundField":
        """The flow of some rows of the batch (a mask)."""
        return self if self.condition is None else replace(self, condition=self.condition[chosen])

    def at(self, t: float) -> Marginal:
        """The marginal at time t."""
        return self.path.at(t)

    def at_ratio(self, ratio: float) -> Marginal:
        """The marginal at which ``sigma / alpha`` equals ``ratio``."""
        return self.path.at(self.path.time(ratio))

    def velocity(self, x: Array, t: float) -> Array:
        """u(x, t), or an error that says when the field went wrong and for how many rows."""
        u = self.unchecked(x, t)
        check_finite(u, f"at t = {t:.6g} the field returned")
        return u

    def unchecked(self, x: Array, t: float) -> Array:
        """u(x, t), finite or not."""
        u = self.field(x, t, self.condition)
        if not hasattr(u, "shape"):
            raise TypeError(f"at t = {t:.6g} the field returned {type(u).__name__}: an array like the states is needed")
        if u.shape != x.shape:
            found, wanted = tuple(u.shape), tuple(x.shape)
            raise ValueError(f"at t = {t:.6g} the field returned shape {found} for states of shape {wanted}")
        return u

    def predict(self, x: Array, t: float) -> tuple[Array, Array]:
        """Denoised data D and noise e at x, from one field call."""
        here, u = self.at(t), self.velocity(x, t)
        return here.denoised(x, u), here.noise(x, u)

    def at_most(self, k: int) -> int:
        """k values of a multistep rule, or as many as there are steps left."""
        return k if self.left is None else min(k, self.left)

    def normal(self, x: Array) -> Array:
        """Fresh standard normal numbers like x."""
        if self.noise is None:
            raise ValueError(
                "this solver draws noise: pass noise=..., standard normal numbers like its argument"
            )
        z = self.noise(x)
        if z.shape != x.shape:
            raise ValueError(f"noise returned shape {tuple(z.shape)} for states of shape {tuple(x.shape)}")
        return z


def check_finite(x: Array, what: str) -> None:
    """Raise with the fraction of bad rows; ``what`` begins the message."""
    finite = abs(x) < math.inf
    if not bool(finite.all()):
        rows = (~finite).reshape(len(x) if x.ndim else 1, -1).any(1)
        bad = int(rows.sum())
        raise ValueError(f"{what} non-finite values in {100 * bad / len(rows):.3g} % of {len(rows)} rows")
