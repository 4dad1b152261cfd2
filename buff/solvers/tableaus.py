"""Runge-Kutta methods as data: Butcher tableaus with their order and source."""

from dataclasses import dataclass

__all__ = [
    "BOGACKI_SHAMPINE",
    "DORMAND_PRINCE",
    "EULER",
    "HEUN",
    "MIDPOINT",
    "RALSTON",
    "RK4",
    "RK38",
    "Tableau",
]


@dataclass(frozen=True, repr=False)
class Tableau:
    """``k_i = f(x + h sum_j a_ij k_j, t + c_i h)``, ``x(t + h) = x + h sum_i b_i k_i``.

    Attributes
    ----------
    name : str
        Usual name.
    order : int
        Order of the global error.
    c, a, b : tuples of float
        Stage times, stage weights (strictly lower triangle) and weights of the slopes.
    error : tuple of float
        ``b - b_hat`` over the stages and the slope at the end of the step; empty without an embedded method.
    """

    name: str
    order: int
    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    error: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return self.name


#: Euler, 1768.
EULER = Tableau("Euler", 1, c=(0,), a=((),), b=(1,))

#: Runge, 1895.
MIDPOINT = Tableau("midpoint", 2, c=(0, 1 / 2), a=((), (1 / 2,)), b=(0, 1))

#: Heun, 1900: the trapezium with Euler's prediction.
HEUN = Tableau("Heun", 2, c=(0, 1), a=((), (1,)), b=(1 / 2, 1 / 2))

#: Ralston, 1962: the two-stage method of least error bound.
RALSTON = Tableau("Ralston", 2, c=(0, 2 / 3), a=((), (2 / 3,)), b=(1 / 4, 3 / 4))

#: Bogacki and Shampine, 1989, 3(2).
BOGACKI_SHAMPINE = Tableau(
    "Bogacki-Shampine",
    3,
    c=(0, 1 / 2, 3 / 4),
    a=((), (1 / 2,), (0, 3 / 4)),
    b=(2 / 9, 1 / 3, 4 / 9),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
)

#: Kutta, 1901: the classical method.
RK4 = Tableau("RK4", 4, c=(0, 1 / 2, 1 / 2, 1), a=((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), b=(1 / 6, 1 / 3, 1 / 3, 1 / 6))

#: Kutta, 1901: the 3/8 rule.
RK38 = Tableau(
    "RK 3/8",
    4,
    c=(0, 1 / 3, 2 / 3, 1),
    a=((), (1 / 3,), (-1 / 3, 1), (1, -1, 1)),
    b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
)

#: Dormand and Prince, 1980, 5(4); error weights of the original pair.
DORMAND_PRINCE = Tableau(
    "Dormand-Prince",
    5,
    c=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1),
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    b=(35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    error=(71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)
