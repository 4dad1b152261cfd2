"""Small problems whose answers are known, and settings that are quick."""

from dataclasses import dataclass

import numpy as np

from buff import BUFF, Unfolder
from buff.datasets import gaussian_1d
from buff.unfolding.settings import SCORES_ALONE

#: A generator for a thousand events and a second.
QUICK = SCORES_ALONE | {
    "n_steps": 6,
    "noise_budget": 20_000,
    "max_depth": 5,
    "reg_lambda": 100.0,
    "tree_params": {"min_split_loss": 2},
}


def quick(method="iterated", **options):
    generator = None if method in ("reweight", "bridge") else BUFF(**QUICK)
    return Unfolder(method, **{"generator": generator, "random_state": 0, "n_samples": 12} | options)


@dataclass(frozen=True)
class Detector:
    """Truth N(mean, 1) seen with noise 0.4; low truth is often missed, and noise alone passes now and then."""

    mean: float = 0.0
    fakes: float = 0.1

    def efficiency(self, t):
        return 0.3 + 0.6 / (1 + np.exp(-2 * t))

    def events(self, n, seed):
        """Truth, reco, pass_truth, pass_reco of n events with truth, and of fakes, which hold NaN."""
        rng = np.random.default_rng(seed)
        n_fakes = round(self.fakes * n)
        truth = np.concatenate([rng.normal(self.mean, 1, n), np.full(n_fakes, np.nan)])
        reco = truth + 0.4 * rng.normal(size=len(truth))
        seen = rng.random(n) < self.efficiency(truth[:n])
        # where fakes are among all that is seen goes with the truth that is seen
        reco[n:] = rng.choice(reco[:n][seen], n_fakes)
        pass_reco = np.concatenate([seen, np.ones(n_fakes, bool)])
        reco[~pass_reco] = np.nan
        return truth[:, None], reco[:, None], ~np.isnan(truth), pass_reco


def moments(result, column=0):
    x = np.asarray(result.events)[:, column].astype(float)
    mean = np.average(x, weights=result.weights)
    return mean, np.sqrt(np.average((x - mean) ** 2, weights=result.weights))


def shifted(n_simulated=6000, n_measured=3000, mean=0.5):
    """A simulation around 0 and nature around another mean."""
    return gaussian_1d().sample(n_simulated, 0), gaussian_1d(mean=mean).sample(n_measured, 1)
