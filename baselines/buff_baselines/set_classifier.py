"""A classifier of clouds of particles that does not see their order: does a network tell generated jets from real?"""

from math import sqrt

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch import nn

from buff.metrics import Estimate

__all__ = ["DeepSet", "set_auc"]

#: Width of the layers, jets a step, and rate of learning.
_WIDTH, _BATCH, _RATE = 64, 256, 2e-3


class DeepSet(nn.Module):  # type: ignore[misc]
    r"""Logit :math:`\rho\big(\sum_i p_{T,i}\, \phi(x_i), \max_i \phi(x_i)\big)` of particles x_i.

    References
    ----------
    M. Zaheer et al. (2017), arXiv:1703.06114; P. Komiske, E. Metodiev and J. Thaler (2019), arXiv:1810.05165.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            nn.Linear(n_features, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH)
        )
        self.rho = nn.Sequential(
            nn.Linear(2 * _WIDTH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, 1)
        )

    def forward(self, features: torch.Tensor, pt: torch.Tensor) -> torch.Tensor:
        """Logits (n,) of features (n, k, f) and pT (n, k), 0 where padded."""
        each = self.phi(features)
        highest = each.masked_fill(pt[..., None] <= 0, -1e4).amax(dim=1)
        logits: torch.Tensor = self.rho(torch.cat([(pt[..., None] * each).sum(dim=1), highest], dim=1))
        return logits[:, 0]


def set_auc(
    real: npt.ArrayLike, generated: npt.ArrayLike, *, n_epochs: int = 12, n_splits: int = 2, random_state: int = 0
) -> Estimate:
    """Area under the ROC curve of a :class:`DeepSet`, jets judged by one that was trained on the others.

    Parameters
    ----------
    real, generated : array of shape (n, k, 3 or 4)
        eta_rel, phi_rel, pt_rel and, optionally, a mask.
    n_epochs : int
        Passes through the training jets.
    n_splits : int
        Folds.
    random_state : int
        Of folds and networks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> jets = rng.uniform(0, 0.2, (200, 4, 3))
    >>> set_auc(jets, jets * [2.0, 2.0, 1.0], n_epochs=20).value > 0.8
    True
    """
    clouds = [np.asarray(jets, np.float32) for jets in (real, generated)]
    clouds = [np.where(c[..., 3:] > 0.5, c[..., :3], 0) if c.shape[2] == 4 else c for c in clouds]
    cloud, labels = np.concatenate(clouds), np.repeat([0.0, 1.0], [len(c) for c in clouds])
    areas = []
    for fold, (learn, judge) in enumerate(
        StratifiedKFold(n_splits, shuffle=True, random_state=random_state).split(labels, labels)
    ):
        torch.manual_seed(random_state + fold)
        network, scale = _fit(cloud[learn], labels[learn], n_epochs)
        with torch.no_grad():
            parts = [
                network(*_features(cloud[rows], *scale)).numpy()
                for rows in np.array_split(judge, 1 + len(judge) // 4096)
            ]
        areas.append(float(roc_auc_score(labels[judge], np.concatenate(parts))))
    return Estimate(float(np.mean(areas)), float(np.std(areas, ddof=1) / sqrt(n_splits)))


def _features(
    cloud: npt.NDArray[np.float32], center: torch.Tensor, spread: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    particles = torch.from_numpy(np.ascontiguousarray(cloud))
    pt = particles[..., 2]
    raw = torch.cat([particles[..., :2], torch.log(pt.clamp_min(1e-6))[..., None], pt[..., None]], dim=-1)
    return (raw - center) / spread * (pt > 0)[..., None], pt


def _fit(
    cloud: npt.NDArray[np.float32], labels: npt.NDArray[np.float64], n_epochs: int
) -> tuple[DeepSet, tuple[torch.Tensor, torch.Tensor]]:
    raw, pt = _features(cloud, torch.zeros(4), torch.ones(4))
    own = raw[pt > 0]
    scale = own.mean(dim=0), own.std(dim=0).clamp_min(1e-6)
    features, truth = _features(cloud, *scale)[0], torch.from_numpy(labels.astype(np.float32))
    network = DeepSet(4)
    steps = n_epochs * -(-len(labels) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_RATE, total_steps=steps)
    loss = nn.BCEWithLogitsLoss()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(labels)).split(_BATCH):
            optimizer.zero_grad()
            loss(network(features[rows], pt[rows]), truth[rows]).backward()
            optimizer.step()
            schedule.step()
    return network, scale
