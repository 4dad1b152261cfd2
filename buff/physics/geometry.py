"""Calorimeters as layers of rings cut into equal angles: the voxels of the CaloChallenge, and of any such detector."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from buff.protocols import Array, Numbers

__all__ = ["GEOMETRIES", "Geometry", "Layer"]

#: Columns of a table of voxels.
_VOXEL_COLUMNS = ("layer", "r_min", "r_max", "alpha_min", "alpha_max")


@dataclass(frozen=True)
class Layer:
    """Voxels of a layer: rings in r, cut into equal angles; voxel ``alpha * n_r + r`` of the layer.

    Attributes
    ----------
    number : int
        Number of the layer in the detector.
    r_edges : tuple of float
        Radii of the rings, mm.
    n_alpha : int
        Angles.

    Raises
    ------
    ValueError
        Where radii do not rise from 0 or above, or there is no angle.

    Examples
    --------
    >>> layer = Layer(1, (0, 2, 4), n_alpha=10)
    >>> layer.n_voxels, layer.r.tolist(), round(layer.areas.sum() / np.pi)
    (20, [1.0, 3.0], 16)
    """

    number: int
    r_edges: tuple[float, ...]
    n_alpha: int = 1

    def __post_init__(self) -> None:
        edges = np.asarray(self.r_edges, float)
        if len(edges) < 2 or not np.isfinite(edges).all() or edges[0] < 0 or (np.diff(edges) <= 0).any():
            raise ValueError(f"r_edges of layer {self.number} must rise from 0 or above, got {list(self.r_edges)}")
        if self.n_alpha < 1:
            raise ValueError(f"n_alpha of layer {self.number} must be 1 or more, got {self.n_alpha}")

    @property
    def n_r(self) -> int:
        """Rings."""
        return len(self.r_edges) - 1

    @property
    def n_voxels(self) -> int:
        """Voxels of the layer."""
        return self.n_r * self.n_alpha

    @cached_property
    def r(self) -> Array:
        """Middle radius of each ring, mm."""
        return (np.asarray(self.r_edges[1:], float) + self.r_edges[:-1]) / 2

    @cached_property
    def alpha(self) -> Array:
        """Middle angle of each sector, radian from -pi."""
        return -np.pi + (np.arange(self.n_alpha) + 0.5) * 2 * np.pi / self.n_alpha

    @cached_property
    def areas(self) -> Array:
        """Area of each voxel, mm^2."""
        return np.tile(np.diff(np.square(np.asarray(self.r_edges, float))) * np.pi / self.n_alpha, self.n_alpha)

    @cached_property
    def positions(self) -> Array:
        """r cos(alpha), r sin(alpha) and r of each voxel, shape (3, voxels), mm; the challenge's eta, phi and r."""
        r, alpha = np.tile(self.r, self.n_alpha), np.repeat(self.alpha, self.n_r)
        return np.stack([r * np.cos(alpha), r * np.sin(alpha), r])

    def overlaps(self, other: "Layer") -> Array:
        """Share of the area of each ring of ``other`` that lies within each ring of this layer, (other.n_r, n_r).

        Rings beyond the outer radius of ``other`` see its outermost ring.
        """
        a, b = np.asarray(other.r_edges, float), np.asarray(self.r_edges, float)
        inner, outer = np.maximum(a[:-1, None], b[None, :-1]), np.minimum(a[1:, None], b[None, 1:])
        share = np.where(outer > inner, outer**2 - inner**2, 0.0) / (a[1:] ** 2 - a[:-1] ** 2)[:, None]
        share[-1, share.sum(axis=0) == 0] = 1.0
        return share


@dataclass(frozen=True)
class Geometry:
    """The voxels of a calorimeter, layer after layer.

    Attributes
    ----------
    name : str
    layers : tuple of Layer
        From the front to the back.
    min_energy : float
        Lower end of the energies, MeV, that the challenge's histograms show.

    Examples
    --------
    >>> photons = Geometry.of("ds1-photons")
    >>> photons.n_voxels, photons.bounds.tolist()
    (368, [0, 8, 168, 358, 363, 368])
    """

    name: str
    layers: tuple[Layer, ...]
    min_energy: float = 10.0

    def __post_init__(self) -> None:
        numbers = [layer.number for layer in self.layers]
        if not numbers or len(set(numbers)) < len(numbers):
            raise ValueError(f"a geometry has layers of different numbers, got {numbers}")

    @classmethod
    def of(cls, geometry: "str | os.PathLike[str] | Geometry") -> "Geometry":
        """A geometry by its name, from a binning file of the challenge, or as it is.

        Raises
        ------
        ValueError
            For names that are not known.
        FileNotFoundError
            Where there is no such file.
        """
        if isinstance(geometry, Geometry):
            return geometry
        if str(geometry) in GEOMETRIES:
            return GEOMETRIES[str(geometry)]
        if str(geometry).endswith(".xml"):
            return cls.from_xml(geometry)
        raise ValueError(
            f"geometry {str(geometry)!r} is not known: give a Geometry, a binning .xml file, or {list(GEOMETRIES)}"
        )

    @classmethod
    def from_xml(cls, path: str | os.PathLike[str]) -> "Geometry":
        """Read a ``binning_dataset_*.xml`` of the challenge; layers with a single radius have no voxels.

        Raises
        ------
        ValueError
            Where the file holds no layers, or attributes that are no numbers.
        """
        try:
            found = list(ElementTree.parse(path).getroot().iter("Layer"))
            layers = tuple(
                Layer(int(x.attrib["id"]), _radii(x.attrib["r_edges"]), int(x.attrib["n_bin_alpha"]))
                for x in found
                if "," in x.attrib["r_edges"]
            )
        except (ElementTree.ParseError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is not a binning file, or is cut short: {error}") from error
        if not layers:
            raise ValueError(f"{path} holds no layer with rings")
        return cls(Path(path).stem, layers)

    def to_xml(self, path: str | os.PathLike[str], particle: str = "particle") -> None:
        """Write the binning as the challenge's programs read it."""
        root = ElementTree.Element("Bins")
        bin_ = ElementTree.SubElement(root, "Bin", name=particle)
        there = {layer.number: layer for layer in self.layers}
        for number in range(max(there) + 1):
            layer = there.get(number)
            edges = ",".join(f"{r:g}" for r in layer.r_edges) if layer else "0"
            ElementTree.SubElement(
                bin_, "Layer", id=str(number), r_edges=edges, n_bin_alpha=str(layer.n_alpha if layer else 1)
            )
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(path)

    @classmethod
    def from_voxels(cls, voxels: Numbers, name: str = "custom") -> "Geometry":
        """From a table with a row a voxel: layer, r_min, r_max (mm), alpha_min, alpha_max (radian).

        Voxels must be in the order of the showers: layer, then angle, then ring.

        Raises
        ------
        ValueError
            Naming the layer whose voxels are no rings in equal angles in this order.
        """
        table = np.asarray(voxels, float)
        if table.ndim != 2 or table.shape[1] != len(_VOXEL_COLUMNS) or not np.isfinite(table).all():
            raise ValueError(
                f"voxels must be a table of finite {', '.join(_VOXEL_COLUMNS)}, got the shape {table.shape}"
            )
        starts = np.flatnonzero(np.diff(table[:, 0], prepend=np.nan) != 0)
        return cls(name, tuple(_layer_of(rows) for rows in np.split(table, starts[1:])))

    @property
    def n_voxels(self) -> int:
        """Voxels of the detector."""
        return int(self.bounds[-1])

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """Layer i has the voxels ``bounds[i]:bounds[i + 1]``."""
        return np.cumsum([0, *(layer.n_voxels for layer in self.layers)], dtype=np.int64)

    @cached_property
    def ring_bounds(self) -> NDArray[np.int64]:
        """Layer i has the rings ``ring_bounds[i]:ring_bounds[i + 1]``."""
        return np.cumsum([0, *(layer.n_r for layer in self.layers)], dtype=np.int64)

    @cached_property
    def areas(self) -> Array:
        """Area of each voxel, mm^2."""
        return np.concatenate([layer.areas for layer in self.layers])

    @cached_property
    def has_symmetry(self) -> bool:
        """Whether a shower turned by a sector is a shower again: all angles are cut alike, or not at all."""
        return len({layer.n_alpha for layer in self.layers} - {1}) == 1

    def split(self, showers: Numbers) -> list[Array]:
        """Showers (n, voxels) as one array (n, angles, rings) a layer."""
        return [
            showers[:, a:b].reshape(len(showers), layer.n_alpha, layer.n_r)
            for a, b, layer in zip(self.bounds[:-1], self.bounds[1:], self.layers, strict=True)
        ]

    def neighbours(self) -> list[Array]:
        """Voxels that share an edge with each voxel, or overlap it in the next layer, as arrays of their numbers."""
        touching: list[set[int]] = [set() for _ in range(self.n_voxels)]
        for a, b in self._edges():
            touching[a].add(b)
            touching[b].add(a)
        return [np.array(sorted(found - {i})) for i, found in enumerate(touching)]

    def _edges(self) -> list[tuple[int, int]]:
        edges: list[tuple[int, int]] = []
        for i, layer in enumerate(self.layers):
            number = self.bounds[i] + np.arange(layer.n_voxels).reshape(layer.n_alpha, layer.n_r)
            pairs = [(number[:, :-1], number[:, 1:]), (number, np.roll(number, -1, axis=0))]
            edges += [(int(a), int(b)) for x, y in pairs for a, b in zip(x.ravel(), y.ravel(), strict=True)]
            if i + 1 < len(self.layers):
                edges += self._edges_behind(i)
        return edges

    def _edges_behind(self, i: int) -> list[tuple[int, int]]:
        front, back = self.layers[i], self.layers[i + 1]
        a, b = (np.linspace(0, 1, layer.n_alpha + 1) for layer in (front, back))
        angles = (np.minimum(a[1:, None], b[1:]) - np.maximum(a[:-1, None], b[:-1])) > 1e-9
        fr, br = np.asarray(front.r_edges, float), np.asarray(back.r_edges, float)
        rings = np.minimum(fr[1:, None], br[1:]) > np.maximum(fr[:-1, None], br[:-1])
        touch = (angles[:, None, :, None] & rings[None, :, None, :]).reshape(front.n_voxels, back.n_voxels)
        return [(int(self.bounds[i] + x), int(self.bounds[i + 1] + y)) for x, y in zip(*np.nonzero(touch), strict=True)]


def _radii(text: str) -> tuple[float, ...]:
    return tuple(float(r) for r in text.split(","))


def _layer_of(rows: Numbers) -> Layer:
    """The layer of the voxels ``rows``."""
    number, edges = int(rows[0, 0]), np.unique(rows[:, 1:3])
    n_alpha = max(1, len(rows) // (len(edges) - 1))
    layer = Layer(number, tuple(edges), n_alpha)
    width = 2 * np.pi / n_alpha
    first = rows[0, 3] + np.repeat(np.arange(n_alpha), layer.n_r) * width if layer.n_voxels == len(rows) else None
    expected = (
        None if first is None else np.column_stack([np.tile(np.stack([edges[:-1], edges[1:]]), n_alpha).T, first])
    )
    if expected is None or not np.allclose(rows[:, 1:4], expected) or not np.allclose(rows[:, 4] - rows[:, 3], width):
        raise ValueError(f"voxels of layer {number} are no rings in equal angles, ordered by angle and then by ring")
    return layer


_PHOTONS = (
    Layer(0, (0, 5, 10, 30, 50, 100, 200, 400, 600)),
    Layer(1, (0, 2, 4, 6, 8, 10, 12, 15, 20, 30, 40, 50, 70, 90, 120, 150, 200), 10),
    Layer(2, (0, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 350, 400), 10),
    Layer(3, (0, 50, 100, 200, 400, 600)),
    Layer(12, (0, 100, 200, 400, 1000, 2000)),
)
_PIONS = (
    Layer(0, (0, 5, 10, 30, 50, 100, 200, 400, 600)),
    Layer(1, (0, 1, 4, 7, 10, 15, 30, 50, 90, 150, 200), 10),
    Layer(2, (0, 5, 10, 20, 30, 50, 80, 130, 200, 300, 400), 10),
    Layer(3, (0, 50, 100, 200, 400, 600)),
    Layer(12, (0, 10, 20, 30, 50, 80, 100, 130, 160, 200, 250, 300, 350, 400, 1000, 2000), 10),
    Layer(13, (0, 10, 20, 30, 50, 80, 100, 130, 160, 200, 250, 300, 350, 400, 600, 1000, 2000), 10),
    Layer(14, (0, 50, 100, 150, 200, 250, 300, 400, 600, 1000, 2000)),
)
#: Threshold of a voxel in datasets 2 and 3: 0.5 keV over a sampling fraction of 0.033, in MeV.
_ELECTRONS_MIN = 0.5e-3 / 0.033
_DS2 = tuple(Layer(i, tuple(4.65 * r for r in range(10)), 16) for i in range(45))
_DS3 = tuple(Layer(i, tuple(2.325 * r for r in range(19)), 50) for i in range(45))
#: The geometries of the CaloChallenge (C. Krause et al., 2024, arXiv:2410.21611) by name.
GEOMETRIES = {
    "ds1-photons": Geometry("ds1-photons", _PHOTONS),
    "ds1-pions": Geometry("ds1-pions", _PIONS),
    "ds2": Geometry("ds2", _DS2, _ELECTRONS_MIN),
    "ds3": Geometry("ds3", _DS3, _ELECTRONS_MIN),
}
