"""Particles of jets from any container, checked, and back into one like it."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from buff.errors import MissingExtraError
from buff.protocols import Array, Mask, Numbers, TableLike

__all__ = ["CloudTemplate", "read_clouds"]

#: Farthest from the axis of its jet that a particle may be, in eta and in phi, and sums of pT that are computed with.
_FARTHEST, _SUMS = (10.0, np.pi), (1e-6, 1e30)
#: Names that eta, phi and pt may have in records.
_NAMES = (
    ("eta_rel", "etarel", "eta", "deta"),
    ("phi_rel", "phirel", "phi", "dphi"),
    ("pt_rel", "ptrel", "pt"),
)


@dataclass(frozen=True)
class CloudTemplate:
    """What the particles' container was like.

    Attributes
    ----------
    container : {"array", "awkward", "clouds"}
        ``"clouds"``: an object with ``particles`` and ``jets`` such as :class:`buff.datasets.JetClouds`.
    width : int
        Particles of a jet at most.
    n_columns : int
        3, or 4 with a mask.
    dtype : str
    fields : tuple of str
        Names of eta, phi and pt in awkward records; empty for plain lists.
    """

    container: str
    width: int
    n_columns: int
    dtype: str
    fields: tuple[str, ...] = ()

    def restore(self, particles: Numbers) -> Any:
        """Particles (n, width, 3) in falling pT as an array with or without mask, or as an awkward array."""
        if self.container == "awkward":
            return self._awkward(particles)
        out = particles if self.n_columns == 3 else np.concatenate([particles, particles[..., 2:] > 0], axis=-1)
        return out.astype(self.dtype)

    def _awkward(self, particles: Numbers) -> Any:
        import awkward as ak

        real = particles[..., 2] > 0
        counts = real.sum(axis=1)
        flat = particles[real].astype(self.dtype)
        if not self.fields:
            return ak.unflatten(ak.from_regular(ak.Array(flat), axis=None), counts)
        return ak.zip({name: ak.unflatten(flat[:, j], counts) for j, name in enumerate(self.fields)})

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form."""
        return asdict(self) | {"fields": list(self.fields)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "CloudTemplate":
        """Inverse of :meth:`to_dict`."""
        return cls(**record | {"fields": tuple(record["fields"])})


def read_clouds(particles: TableLike, max_particles: int | None = None) -> tuple[Array, CloudTemplate]:
    """Particles as float64 (n, width, 3) of eta, phi, pt, zero padded, and their container.

    Parameters
    ----------
    particles : array (n, k, 3 or 4), awkward array, or object with ``particles``
        See :class:`buff.JetBUFF`.
    max_particles : int, optional
        The hardest particles to keep of a jet.

    Raises
    ------
    ValueError
        Another shape, values that are not finite, negative pT, a mask that contradicts pT, jets without particles,
        particles that are not given relative to their jet, sums of pT of another unit than what is computed with.
    TypeError
        No numbers.
    """
    container = "array"
    if hasattr(particles, "particles") and hasattr(particles, "jets"):
        particles, container = particles.particles, "clouds"
    if type(particles).__module__.partition(".")[0] == "awkward":
        cloud, template = _from_awkward(particles)
    else:
        cloud, template = _from_array(particles)
    template = replace(template, container=container) if container == "clouds" else template
    if max_particles is not None and cloud.shape[1] > max_particles:
        order = np.argsort(-cloud[..., 2], axis=1, kind="stable")[:, :max_particles]
        cloud = np.take_along_axis(cloud, order[..., None], axis=1)
    return cloud, replace(template, width=cloud.shape[1])


def _from_array(particles: TableLike) -> tuple[Array, CloudTemplate]:
    try:
        cloud = np.asarray(particles)
    except ValueError as error:
        raise ValueError("particles: jets of different lengths are padded with pT = 0, or an awkward array") from error
    if cloud.dtype.kind not in "fiu":
        raise TypeError(f"particles must be numbers, found dtype {cloud.dtype}")
    if cloud.ndim != 3 or cloud.shape[1] < 1 or cloud.shape[2] not in (3, 4):
        raise ValueError(
            f"particles must have the shape (n, k, 3 or 4), eta_rel, phi_rel, pt_rel and a mask: found {cloud.shape}"
        )
    if not len(cloud):
        raise ValueError("particles has no jets")
    template = CloudTemplate(
        "array", cloud.shape[1], cloud.shape[2], str(cloud.dtype if cloud.dtype.kind == "f" else "f8")
    )
    pt = cloud[..., 2]
    real = cloud[..., 3] > 0.5 if cloud.shape[2] == 4 else ~(pt == 0)
    _refuse(real & ~np.isfinite(cloud).all(axis=2), pt, "not finite", "drop these jets or mend them")
    _refuse(real & (pt < 0), pt, "of negative pT", "padding has pT = 0")
    if cloud.shape[2] == 4:
        _refuse(real & (pt == 0), pt, "unmasked but without pT", "mask is 1 for particles and 0 for padding")
        _refuse(~real & (pt != 0), pt, "masked as padding", "mask is 1 for particles and 0 for padding")
    for j, (name, most) in enumerate(zip(("eta", "phi"), _FARTHEST, strict=True)):
        off = real & (np.abs(cloud[..., j]) > most * (1 + 1e-6))
        _refuse(off, pt, f"farther than {most:.3g} in {name} from their jet", "give them relative to the jet axis")
    return _nonempty(np.where(real[..., None], cloud[..., :3], 0.0).astype(np.float64)), template


def _refuse(bad: Mask, pt: Numbers, what: str, advice: str) -> None:
    if bad.any():
        jet, slot = np.argwhere(bad)[0]
        raise ValueError(
            f"particles: {bad.sum()} are {what}, the first is particle {slot} of jet {jet} (pT {pt[jet, slot]}): "
            f"{advice}"
        )


def _nonempty(cloud: Numbers) -> Array:
    empty = np.flatnonzero(~(cloud[..., 2] > 0).any(axis=1))
    if len(empty):
        raise ValueError(f"particles: {len(empty)} jets have none, the first is jet {empty[0]}: drop these jets")
    total = cloud[..., 2].sum(axis=1)
    if (off := (total < _SUMS[0]) | (total > _SUMS[1])).any():
        raise ValueError(
            f"particles: the pT of jet {off.argmax()} sums to {total[off.argmax()]:.3g}, and must lie between "
            f"{_SUMS[0]:g} and {_SUMS[1]:g}: choose another unit"
        )
    return cloud


def _from_awkward(particles: Any) -> tuple[Array, CloudTemplate]:
    try:
        import awkward as ak
    except ImportError as error:  # pragma: no cover - there is no awkward array without the package
        raise MissingExtraError("awkward", "hep") from error
    names: tuple[str, ...] = ()
    if there := ak.fields(particles):
        found = [next((name for name in known if name in there), None) for known in _NAMES]
        if None in found:
            raise ValueError(
                f"particles must have the fields eta_rel, phi_rel, pt_rel (or eta, phi, pt): found {there}"
            )
        names = tuple(str(name) for name in found)
        columns = [particles[name] for name in names]
    else:
        if particles.ndim != 3 or (len(particles) and not bool(ak.all(ak.num(particles, axis=2) == 3))):
            raise ValueError("particles must be lists of (eta_rel, phi_rel, pt_rel) a jet, or records of these fields")
        columns = [particles[..., j] for j in range(3)]
    width = int(ak.max(ak.num(columns[0], axis=1), initial=1) or 1)
    padded = [ak.fill_none(ak.pad_none(column, width, axis=1, clip=True), 0.0) for column in columns]
    array = np.stack([ak.to_numpy(column) for column in padded], axis=-1)
    cloud, template = _from_array(array)
    return cloud, replace(template, container="awkward", fields=names)
