"""The order in which the energy of a shower divides: among layers, among rings, around the axis."""

from dataclasses import dataclass

from buff.physics.geometry import Geometry

__all__ = ["AngleSplit", "Split", "SplitTree", "angle_splits"]


@dataclass(frozen=True)
class Split:
    """Energy of neighbouring parts ``first:last`` that divides at ``middle``.

    Attributes
    ----------
    first, middle, last : int
        Numbers of layers, or of rings of the detector.
    layer : int
        Index of the layer that rings belong to; -1 among layers.
    """

    first: int
    middle: int
    last: int
    layer: int = -1


@dataclass(frozen=True)
class AngleSplit:
    """Sectors ``start:start + a + b`` of a ring that divide into the first ``a`` and the other ``b``."""

    start: int
    a: int
    b: int


@dataclass(frozen=True)
class SplitTree:
    """All divisions of a shower, from the whole to its voxels.

    Attributes
    ----------
    layers : tuple of Split
        Halves of the layers, breadth first.
    rings : tuple of Split
        Halves of the rings of each layer, breadth first; layers with angles first.
    angles : tuple of (int, int)
        Layer and ring, inside out, of the rings that divide around the axis, each by :func:`angle_splits`.

    Examples
    --------
    >>> tree = SplitTree.of(Geometry.of("ds1-photons"))
    >>> len(tree.layers), len(tree.rings), len(tree.angles)
    (4, 48, 35)
    """

    layers: tuple[Split, ...]
    rings: tuple[Split, ...]
    angles: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, geometry: Geometry) -> "SplitTree":
        """The tree of a detector."""
        order = sorted(range(len(geometry.layers)), key=lambda i: geometry.layers[i].n_alpha == 1)
        bounds = [int(b) for b in geometry.ring_bounds]
        rings = [split for i in order for split in _halves(bounds[i], bounds[i + 1], i)]
        angles = [(i, r) for i, layer in enumerate(geometry.layers) if layer.n_alpha > 1 for r in range(layer.n_r)]
        return cls(tuple(_halves(0, len(geometry.layers), -1)), tuple(rings), tuple(angles))


def angle_splits(n_alpha: int) -> tuple[AngleSplit, ...]:
    """Halves of ``n_alpha`` sectors, breadth first.

    Examples
    --------
    >>> [(split.a, split.b) for split in angle_splits(5)]
    [(2, 3), (1, 1), (1, 2), (1, 1)]
    """
    return tuple(AngleSplit(s.first, s.middle - s.first, s.last - s.middle) for s in _halves(0, n_alpha, -1))


def _halves(first: int, last: int, layer: int) -> list[Split]:
    splits: list[Split] = []
    parts = [(first, last)]
    while parts:
        a, b = parts.pop(0)
        if b - a > 1:
            middle = (a + b) // 2
            splits.append(Split(a, middle, b, layer))
            parts += [(a, middle), (middle, b)]
    return splits
