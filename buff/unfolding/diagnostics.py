"""Numbers to look at before believing an unfolding."""

from dataclasses import dataclass

import numpy as np

from buff.errors import warn
from buff.protocols import Mask
from buff.unfolding.events import Simulation
from buff.unfolding.features import features
from buff.unfolding.members import POORLY_SEEN, Measured, Member, Unfolded
from buff.unfolding.moving import Moving, moving, named_moves
from buff.unfolding.refolding import Refolded, refold, refolded_sentences
from buff.weights import effective_size

__all__ = ["Diagnostics"]

#: Share of the weight that may be poorly seen without a warning.
_TOO_POORLY = 0.02


@dataclass(frozen=True)
class Diagnostics:
    """Numbers to look at before believing a result; prints as sentences, one a line.

    Attributes
    ----------
    measured : int
        Events.
    outside : int
        Of these, where no simulated event lies.
    signal : float
        Weight left after background and fakes, as a share of all.
    unseen : float
        Share of the unfolded events with an efficiency too small to correct for.
    effective : float
        Measured events that the signal is worth.
    poorly_seen : float
        Share of the unfolded weight that is seen five times more rarely than truth is on average.
    refolded : tuple of Refolded
        What the unfolded events give in each column at detector level, beside what was measured.
    least_efficiency : float
        Truth that is seen more rarely counts as if seen so often. It follows from the simulation: with it, posterior
        draws for simulated events that pass both cuts become as many as all that pass at truth level; a hundredth of
        the mean efficiency at least. ``"reweight"`` has no such limit.
    moving : tuple of Moving
        Columns of truth that the last iteration moved by more than the statistical error of the measured events, at the
        bin or frequent value where it did most. Where iterations end by themselves, draws are left as they were before
        the one that shows that they may.
    """

    measured: int
    outside: int
    signal: float
    unseen: float
    effective: float
    poorly_seen: float = 0.0
    refolded: tuple[Refolded, ...] = ()
    least_efficiency: float = np.nan
    moving: tuple[Moving, ...] = ()

    def __str__(self) -> str:
        sentences = (
            f"{self.measured:,} measured events; "
            + (
                f"{self.outside:,} of them where no simulated one lies, so that their truth is a guess."
                if self.outside
                else "all lie where simulated ones do."
            ),
            f"{self.signal:.1%} of their weight is signal: neither background nor failing the selection of truth.",
            f"The relative statistical error of the signal is that of {self.effective:,.0f} events of equal weight.",
            f"{self.unseen:.2%} of the unfolded events are seen less than once in {1 / self.least_efficiency:.0f}, "
            f"and count as if seen so often."
            if self.unseen
            else "No correction for efficiency reached its limit.",
            f"{self.poorly_seen:.1%} of the unfolded weight is seen {POORLY_SEEN:g} times more rarely than on average.",
            *refolded_sentences(self.refolded, self.moving),
        )
        return "\n".join(sentences)

    @classmethod
    def of(cls, unfolded: Unfolded, measured: Measured, outside: Mask, member: Member) -> "Diagnostics":
        """Of an unfolding by a member; warns where a truth cut lies at small efficiency."""
        s, w, simulation = unfolded.signal, unfolded.weights, member.simulation
        share, effective = s.sum() / measured.weights.sum(), effective_size(s) / measured.of_data.inflation
        relative = unfolded.efficiency / member.efficiency.constant
        unseen = 0.0 if member.posterior is None else float(np.mean(unfolded.efficiency < member.least_efficiency))
        poorly = float(w[relative < 1 / POORLY_SEEN].sum() / w.sum())
        if poorly > _TOO_POORLY:
            warn(
                f"{poorly:.1%} of the unfolded weight is seen {POORLY_SEEN:g} times more rarely than on average: "
                f"there the simulation speaks; draw pass_truth closer to what pass_reco lets through"
            )
        refolded: tuple[Refolded, ...] = ()
        if (weights := unfolded.refolded) is not None:
            n, space = simulation.n_matched, simulation.reco_space
            refolded = refold(space, simulation.reco_scores[:n], weights, measured.scores, s)
        return cls(
            len(s),
            int(outside.sum()),
            float(share),
            unseen,
            float(effective),
            poorly,
            refolded,
            member.least_efficiency,
            _moving(unfolded, simulation, float(effective)),
        )


def _moving(unfolded: Unfolded, simulation: Simulation, effective: float) -> tuple[Moving, ...]:
    """Change of truth in the last iteration that was made; the first is counted from the simulation."""
    s, space = simulation, simulation.truth_space
    z = s.truth_scores if unfolded.events is s.truth else features(space, unfolded.events)
    if unfolded.last is None:
        before, after = (s.truth_scores, s.weights), (z, unfolded.weights)
    else:
        before, after = ((z, weights) for weights in unfolded.last)
    found = moving(space, s.truth_scores, before, after, effective)
    return named_moves(found, space, unfolded.events)
