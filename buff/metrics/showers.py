"""High-level features of calorimeter showers, and what classifiers see of them, as the CaloChallenge defines them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from buff.metrics.histograms import Separation, separation_power
from buff.physics import Geometry

__all__ = ["SHOWER_INPUTS", "shower_bins", "shower_features", "shower_inputs", "shower_separations"]

Rows = npt.NDArray[np.float64]
#: What a classifier may be given.
SHOWER_INPUTS = ("low", "normalised", "high", "strong")
#: Energy that is nothing: the challenge's guards.
_NOTHING, _LEAST = 1e-16, 1e-8


def shower_features(showers: npt.ArrayLike, incident_energies: npt.ArrayLike, geometry: object) -> dict[str, Rows]:
    r"""High-level features of each shower.

    Per layer l: energy E_l, sparsity (share of voxels without energy), and energy-weighted centre and width in r;
    where the layer is cut into angles also in eta = r cos(alpha) and phi = r sin(alpha), mm:
    :math:`\langle x \rangle = \sum E_i x_i / E_l`, :math:`\sigma_x = \sqrt{\langle x^2 \rangle - \langle x \rangle^2}`.

    Parameters
    ----------
    showers : array-like of shape (n, voxels), MeV
    incident_energies : array-like of shape (n,) or (n, 1), MeV
    geometry : str, path or buff.physics.Geometry

    Returns
    -------
    dict
        ``response`` (sum over incident energy), ``voxels`` (number with energy), and ``energy_l``, ``sparsity_l``,
        ``centre_r_l``, ``width_r_l``, ``centre_eta_l``, ``centre_phi_l``, ``width_eta_l``, ``width_phi_l`` with l the
        number of the layer.

    References
    ----------
    C. Krause et al. (2024), arXiv:2410.21611.

    Examples
    --------
    >>> features = shower_features(np.ones((2, 368)), [368.0, 736.0], "ds1-photons")
    >>> features["response"].tolist(), features["energy_12"].tolist()
    ([1.0, 0.5], [5.0, 5.0])
    """
    detector = Geometry.of(geometry)  # type: ignore[arg-type]
    x, energies = _checked(showers, incident_energies, detector)
    features = {"response": x.sum(axis=1) / energies, "voxels": (x > 0).sum(axis=1).astype(float)}
    for a, b, layer in zip(detector.bounds[:-1], detector.bounds[1:], detector.layers, strict=True):
        voxels = x[:, a:b]
        total = voxels.sum(axis=1)
        features[f"energy_{layer.number}"] = total
        features[f"sparsity_{layer.number}"] = 1 - (voxels > 0).mean(axis=1)
        for name, position in zip(("eta", "phi", "r"), layer.positions, strict=True):
            if name == "r" or layer.n_alpha > 1:
                centre = voxels @ position / (total + _NOTHING)
                square = voxels @ position**2 / (total + _NOTHING)
                features[f"centre_{name}_{layer.number}"] = centre
                features[f"width_{name}_{layer.number}"] = np.sqrt(np.maximum(square - centre**2, 0))
    return features


def shower_inputs(
    showers: npt.ArrayLike,
    incident_energies: npt.ArrayLike,
    geometry: object,
    kind: Literal["low", "normalised", "high", "strong"] = "low",
) -> Rows:
    """What a classifier is given of each shower, with the logarithm of the incident energy in front.

    Parameters
    ----------
    showers, incident_energies, geometry
        As for :func:`shower_features`.
    kind : {"low", "normalised", "high", "strong"}
        ``"low"``: 100 times the voxels over the incident energy. ``"normalised"``: voxels over the energy of their
        layer, and the logarithms of these energies. ``"high"``: logarithms of layer energies, centres and widths in
        eta and phi over 100 mm. ``"strong"``: all of these and ring energies, voxels hit in a ring, its largest voxel,
        shares of sectors, correlations between neighbouring sectors and rings, sparsity, centres and widths in r.

    Returns
    -------
    float64 array of shape (n, inputs)
    """
    detector = Geometry.of(geometry)  # type: ignore[arg-type]
    x, energies = _checked(showers, incident_energies, detector)
    front = np.log10(energies)[:, None]
    if kind == "low":
        return np.hstack([front, 100 * x / energies[:, None]])
    if kind == "normalised":
        layers = [x[:, a:b] for a, b in zip(detector.bounds[:-1], detector.bounds[1:], strict=True)]
        totals = [layer.sum(axis=1, keepdims=True) for layer in layers]
        shares = [layer / (total + _NOTHING) for layer, total in zip(layers, totals, strict=True)]
        return np.hstack([front, *shares, *(np.log10(total + _LEAST) for total in totals)])
    if kind in ("high", "strong"):
        features = shower_features(x, energies, detector)
        high = np.column_stack([front, *_high(features)])
        return high if kind == "high" else _strong(x, energies, detector, features, high)
    raise ValueError(f"kind must be one of {', '.join(SHOWER_INPUTS)}, found {kind!r}")


def _high(features: Mapping[str, Rows]) -> list[Rows]:
    energies = [np.log10(f + _LEAST) for name, f in features.items() if name.startswith("energy_")]
    starts = ("centre_eta", "centre_phi", "width_eta", "width_phi")
    return [*energies, *(f / 100 for start in starts for name, f in features.items() if name.startswith(start))]


def _strong(x: Rows, energies: Rows, detector: Geometry, features: Mapping[str, Rows], high: Rows) -> Rows:
    e = energies[:, None]
    starts = ("response", "sparsity", "centre_r", "width_r")
    parts = [x / e, high, *(f[:, None] for name, f in features.items() if name.startswith(starts))]
    for layer in detector.split(x):
        rings = layer.sum(axis=1)
        parts.append(rings / e)
        if layer.shape[1] > 1:
            largest, next_sector = layer.max(axis=1), np.roll(layer, 1, axis=1)
            square = (layer**2).sum(axis=1)
            across = (layer[:, :, 1:] * layer[:, :, :-1]).sum(axis=1)
            parts += [(layer > 0).sum(axis=1), largest / e, largest / (rings + 1e-9)]
            parts += [np.sort(layer.sum(axis=2), axis=1) / (rings.sum(axis=1, keepdims=True) + 1e-9)]
            parts += [layer.sum(axis=2) / (rings.sum(axis=1, keepdims=True) + 1e-9)]
            parts += [(layer * next_sector).sum(axis=1) / (square + 1e-9)]
            parts += [across / (np.sqrt(square[:, 1:] * square[:, :-1]) + 1e-9)]
    return np.hstack(parts)


def shower_bins(features: Mapping[str, Rows], geometry: object) -> dict[str, Rows]:
    """The challenge's histogram of each feature: edges of its bins.

    Energies of layers have 39 logarithmic bins from the detector's ``min_energy`` to the largest of ``features``, the
    real ones; the response 100 from 0.5 to 1.5; centres and widths 100 over ranges in mm that depend on the detector;
    sparsity 20.
    """
    detector = Geometry.of(geometry)  # type: ignore[arg-type]
    narrow = detector.name.startswith(("ds2", "ds3"))
    bins = {"response": np.linspace(0.5, 1.5, 101)}
    for name, values in features.items():
        kind, _, rest = name.partition("_")
        hadronic = rest.rpartition("_")[2] in ("12", "13")
        if kind == "energy":
            bins[name] = np.geomspace(detector.min_energy, max(float(values.max()), 2 * detector.min_energy), 40)
        elif kind == "sparsity":
            bins[name] = np.linspace(0, 1, 21)
        elif rest.startswith("r_"):
            reach = max(layer.r_edges[-1] for layer in detector.layers)
            bins[name] = np.linspace(0, reach, 101)
        elif kind == "centre":
            reach = 30.0 if narrow else 500.0 if hadronic else 100.0
            bins[name] = np.linspace(-reach, reach, 101)
        elif kind == "width":
            bins[name] = np.linspace(0, 30.0 if narrow else 400.0 if hadronic else 100.0, 101)
    return bins


def shower_separations(
    real: Mapping[str, Rows], generated: Mapping[str, Rows], geometry: object, *, n_bootstrap: int = 0
) -> dict[str, Separation]:
    """Separation power of each feature in the challenge's bins, with the shares of showers outside of them.

    Parameters
    ----------
    real, generated : mapping
        Of :func:`shower_features`.
    geometry : str, path or buff.physics.Geometry
    n_bootstrap : int
        Replicas behind errors; 0 for none.

    Returns
    -------
    dict
        Features of which one sample has nothing in range are 1, those of which neither has are left out.
    """
    found = {}
    for name, edges in shower_bins(real, geometry).items():
        outside = [float(np.mean((f[name] < edges[0]) | (f[name] > edges[-1]))) for f in (real, generated)]
        if max(outside) == 1 > min(outside):
            found[name] = Separation(1.0, np.nan, outside[0], outside[1], tuple(edges.tolist()))
        elif max(outside) < 1:
            found[name] = separation_power(real[name], generated[name], edges, n_bootstrap=n_bootstrap)
    return found


def _checked(showers: npt.ArrayLike, incident_energies: npt.ArrayLike, geometry: Geometry) -> tuple[Rows, Rows]:
    x, energies = np.asarray(showers, float), np.asarray(incident_energies, float).reshape(-1)
    if x.ndim != 2 or x.shape[1] != geometry.n_voxels:
        raise ValueError(f"showers of {geometry.name!r} have the shape (n, {geometry.n_voxels}), got {x.shape}")
    if len(energies) != len(x):
        raise ValueError(f"there are {len(x)} showers and {len(energies)} incident_energies")
    if not np.isfinite(x).all() or not (energies > 0).all():
        raise ValueError("showers must be finite and incident_energies positive: leave the others out")
    return x, energies
