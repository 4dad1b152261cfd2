"""What is known of a node before it splits, as numbers of order one to ten."""

import numpy as np

from buff.physics.nodes import JetKinematics, Nodes
from buff.physics.splitting import side
from buff.protocols import Array, Numbers, Values

__all__ = ["node_context", "root_context"]


def _log(values: Values) -> Array:
    return np.log(np.maximum(values, 1e-12))


def root_context(jets: JetKinematics, scale: Numbers) -> Array:
    """Of whole jets, (n, 9): sum of pT, width, multiplicity, softest pT, mass, position of the centroid.

    Parameters
    ----------
    jets : JetKinematics
    scale : array of shape (n,)
        Unit of the jets' pT, so that masses are on a common scale; 1 where pT is given in GeV.
    """
    return np.stack(
        [
            _log(jets.pt),
            0.5 * _log(jets.moment / jets.pt),
            jets.n,
            _log(jets.softest),
            _log(scale),
            0.5 * _log(jets.moment * jets.pt * scale**2),
            np.abs(jets.eta),
            np.abs(jets.phi),
            np.hypot(jets.eta, jets.phi),
        ],
        axis=1,
    )


def node_context(nodes: Nodes, jets: JetKinematics, scale: Numbers, radius: float) -> Array:
    """Of nodes, (n, 26): their own state, the jet's, the sibling's, place in the jet, the uncle's, the first splitting.

    Parameters
    ----------
    nodes : Nodes
    jets : JetKinematics
        Of all jets, taken by ``nodes.jet``.
    scale : array
        As in :func:`root_context`, of all jets.
    radius : float
        Of the jets.
    """
    # jets are fewer than nodes
    of_jets = (jets.softest, scale**2, _log(jets.softest), _log(jets.pt), 0.5 * _log(jets.moment / jets.pt), jets.n)
    softest, unit2, log_softest, log_pt, log_spread, n = (values[nodes.jet] for values in of_jets)
    width = np.sqrt(nodes.moment / nodes.pt) + 1e-9
    dr = np.hypot(nodes.sibling_eta, nodes.sibling_phi) + 1e-9
    uncle_dr = np.hypot(nodes.uncle_eta, nodes.uncle_phi) + 1e-9
    kt = np.minimum(nodes.pt, nodes.sibling_pt) * dr
    off_axis = np.hypot(nodes.eta, nodes.phi)
    along = -(nodes.sibling_eta * nodes.eta + nodes.sibling_phi * nodes.phi) / dr
    across = (nodes.sibling_phi * nodes.eta - nodes.sibling_eta * nodes.phi) / dr * side(nodes)
    cosine = (nodes.sibling_eta * nodes.uncle_eta + nodes.sibling_phi * nodes.uncle_phi) / (dr * uncle_dr)
    log_width, log_dr = _log(width), _log(dr)
    # column after column, as they are computed
    return np.stack(
        [
            *(_log(nodes.pt), log_width, _log(nodes.n), _log(nodes.pt / (nodes.n * softest))),
            0.5 * _log(nodes.pt * nodes.moment * unit2),
            *(log_softest, log_pt, log_spread, n),
            *(log_dr, log_dr - log_width, _log(nodes.sibling_pt / nodes.pt), _log(nodes.sibling_n)),
            _log(np.sqrt(nodes.sibling_moment / nodes.sibling_pt) + 1e-4),
            *(_log(kt), _log(kt / (nodes.pt * width)), nodes.depth),
            *(off_axis, along, across, (radius - off_axis) / width),
            *(_log(uncle_dr / width), _log((nodes.uncle_pt + 1e-4) / nodes.pt), cosine),
            *(_log(nodes.root_kt / (nodes.pt * width)), _log(nodes.root_dr / width)),
        ]
    ).T
