"""Axes, grooming and energy correlations of momenta: by the compiled kernels, or by NumPy where there are none.

Both recombine the same pseudo-jets. Their results agree to the last digits of double precision: rapidities and azimuths
are those of the C library and of NumPy, and sums are added in different orders.
"""

import numpy as np

from buff import kernels
from buff.datasets.clustering import Floats, delta_r2, rapidity_azimuth, recluster, transverse

__all__ = ["correlations", "grooming", "kt_axes", "massive", "ratio"]

#: Numbers that the kernels have for tasks.
_SUBJETS, _SOFT_DROP, _CORRELATIONS = 0, 1, 2


def ratio(above: Floats, below: Floats) -> Floats:
    """0 where the denominator is."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def massive(p: Floats) -> Floats:
    """Masses of sums of momenta (..., particles, 4)."""
    px, py, pz, e = p.sum(axis=-2).T
    return np.asarray(np.sqrt(np.maximum(e**2 - px**2 - py**2 - pz**2, 0.0)))


def kt_axes(p: Floats, n: int) -> tuple[Floats, Floats]:
    """(tau_1, ..., tau_n) and (d_12, ..., d_n,n+1) of momenta (jets, particles, 4), each of shape (jets, n)."""
    if (found := _compiled(_SUBJETS, p, (len(p), n, p.shape[1]), (len(p), n), n_axes=n)) is not None:
        pt, (nearest, distance) = transverse(p), found
        return ratio((pt[:, None] * nearest).sum(axis=2), pt.sum(axis=1)[:, None]), np.sqrt(distance)
    tau, scale = np.zeros((2, len(p), n))
    subjets = dict.fromkeys(range(1, n + 1), p)  # with N particles or fewer, each is its own axis
    for step in recluster(p, power=1):
        if step.left <= n:
            subjets[step.left] = step.pseudojets.copy()
            scale[step.rows, step.left - 1] = np.sqrt(step.distance)
    for n_axes, axes in subjets.items():
        tau[:, n_axes - 1] = _tau(p, axes, n_axes)
    return tau, scale


def _tau(p: Floats, axes: Floats, n_axes: int) -> Floats:
    first = np.argsort(axes[..., 3] <= 0, axis=1, kind="stable")[:, :n_axes]  # empty slots last
    axes = np.take_along_axis(axes, first[..., None], axis=1)
    y, phi = rapidity_azimuth(p)
    y_axis, phi_axis = rapidity_azimuth(axes)
    dr2 = delta_r2(y[:, :, None], phi[:, :, None], y_axis[:, None, :], phi_axis[:, None, :])
    nearest = np.sqrt(np.where(axes[:, None, :, 3] > 0, dr2, np.inf).min(axis=2))
    pt = transverse(p)
    return ratio((pt * np.where(pt > 0, nearest, 0.0)).sum(axis=1), pt.sum(axis=1))


def correlations(p: Floats) -> Floats:
    """ECF_2 and ECF_3, shape (jets, 2): with A_ij = sqrt(pt_i pt_j) dR_ij, ECF_3 = tr(A^3) / 6."""
    if (found := _compiled(_CORRELATIONS, p, (len(p), 2))) is not None:
        return found[0]
    pt, (y, phi) = transverse(p), rapidity_azimuth(p)
    dr = np.sqrt(delta_r2(y[:, :, None], phi[:, :, None], y[:, None, :], phi[:, None, :]))
    root = np.sqrt(pt)
    a = root[:, :, None] * dr * root[:, None, :]
    two = np.einsum("ni,nij,nj->n", root, a, root) / 2
    three = np.einsum("nij,nij->n", a, a @ a) / 6
    return np.stack([two, three], axis=1)


def grooming(p: Floats, z_cut: float, beta: float, radius: float) -> Floats:
    """Groomed mass, z_g and r_g, shape (jets, 3)."""
    how = np.array([z_cut, beta, radius], np.float64)
    if (found := _compiled(_SOFT_DROP, p, (len(p), 3), how=how)) is not None:
        return found[0]
    groomed = np.zeros((len(p), 3))
    slot = np.zeros(len(p), dtype=np.intp)  # of the branch that is followed
    searching = np.ones(len(p), dtype=bool)
    for step in reversed(list(recluster(p, power=0))):
        if step.left == 1:
            slot[step.rows] = step.kept
        here = searching[step.rows] & (slot[step.rows] == step.kept)
        rows, first, second = step.rows[here], step.first[here], step.second[here]
        pt1, pt2, dr = transverse(first), transverse(second), np.sqrt(step.distance[here])
        z = np.minimum(pt1, pt2) / (pt1 + pt2)
        passes = z > z_cut * (dr / radius) ** beta
        pair = np.stack([first, second], axis=1)[passes]
        groomed[rows[passes]] = np.stack([massive(pair), z[passes], dr[passes]], axis=1)
        searching[rows[passes]] = False
        slot[rows] = np.where(pt2 > pt1, step.gone[here], step.kept[here])
    return groomed


def _compiled(
    kind: int, p: Floats, *shapes: tuple[int, ...], n_axes: int = 0, how: Floats | None = None
) -> tuple[Floats, Floats] | None:
    """What the kernels find in momenta, arrays of these shapes; None without kernels."""
    module = kernels.native()
    if module is None:
        return None
    out, merged = (np.empty(shape) for shape in (*shapes, (0,))[:2])
    if len(p):
        given = np.ascontiguousarray(transverse(p) if kind == _CORRELATIONS else p)
        y, phi = map(np.ascontiguousarray, rapidity_azimuth(p))
        module.substructure(kernels.number(), kind, p.shape[1], n_axes, given, y, phi, how, out, merged)
    return out, merged
