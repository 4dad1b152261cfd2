"""How far generated rows are from real ones that no method has seen."""

from typing import Any

from benchmarks.data import Halves
from benchmarks.records import Quantity

__all__ = ["QUALITY", "floor", "quality"]

QUALITY = (
    Quantity("auc_trees", "AUC trees"),
    Quantity("auc_mlp", "AUC MLP"),
    Quantity("auc_trees_principal", "AUC trees, principal axes"),
    Quantity("auc_mlp_principal", "AUC MLP, principal axes"),
    Quantity("w1", "W1 x 1000", digits=1),
    Quantity("variation", "total variation"),
    Quantity("correlation", "correlation error"),
    Quantity("closer", "closer to training"),
)


def quality(half: Halves, generated: Any, seed: int) -> dict[str, float]:
    """Values of :data:`QUALITY` that are defined for the table."""
    return _scores(half.test, generated, seed, half.train)


def floor(half: Halves, seed: int) -> dict[str, float]:
    """The same with the training rows for generated ones."""
    return _scores(half.test, half.train, seed, None)


def _scores(real: Any, generated: Any, seed: int, train: Any) -> dict[str, float]:
    from buff.metrics import report

    found = report(real, generated, train=train, seeds=1, floor=False, n_bootstrap=0, random_state=seed)
    scores, copies = found.scores, found.memorisation
    values = {
        "auc_trees": scores.trees,
        "auc_mlp": scores.mlp,
        "auc_trees_principal": scores.trees_principal,
        "auc_mlp_principal": scores.mlp_principal,
        "w1": scores.wasserstein,
        "variation": scores.variation,
        "correlation": scores.correlation,
        "closer": copies and copies.share_closer,
    }
    known = {name: estimate.value for name, estimate in values.items() if estimate}
    return known | {"w1": 1000 * known["w1"]}
