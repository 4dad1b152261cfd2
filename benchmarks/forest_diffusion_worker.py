"""``python -m benchmarks.forest_diffusion_worker IN.npz OUT.npz``, run where ForestDiffusion is installed.

Reads the table ``X`` (float64, categories as codes 0, 1, ...) and the settings, writes the generated table, or
so many completions of the table as ``n_draws`` says, and what it cost. Needs ForestDiffusion and what it brings,
nothing of buff.
"""

import sys
from dataclasses import astuple

import numpy as np

from benchmarks.costs import Meter


def main(source: str, target: str) -> None:
    from ForestDiffusion import ForestDiffusionModel

    task = dict(np.load(source))
    order = categories_first(task["X"].shape[1], task["categorical"].tolist())
    columns = {name: positions(task[name], order) for name in ("categorical", "binary", "integer")}
    with Meter() as training:
        model = ForestDiffusionModel(
            task["X"][:, order],
            n_t=int(task["n_t"]),
            duplicate_K=int(task["duplicate_K"]),
            n_estimators=int(task["n_estimators"]),
            cat_indexes=columns["categorical"],
            bin_indexes=columns["binary"],
            int_indexes=columns["integer"],
            diffusion_type="vp" if "n_draws" in task else "flow",  # completions need its diffusion
            n_jobs=int(task["n_jobs"]),
            seed=int(task["seed"]),
        )
    with Meter() as sampling:
        if "n_draws" in task:
            generated = model.impute(k=int(task["n_draws"]))
        else:
            generated = model.generate(batch_size=int(task["n_samples"]))
    restored = np.empty_like(generated)
    restored[..., order] = generated
    np.savez(target, generated=restored, training=astuple(training.cost), sampling=astuple(sampling.cost))


def categories_first(n_columns: int, categorical: list[int]) -> list[int]:
    """Column order with the categories in front.

    ForestDiffusion finds the dummies of column 3 by looking for "3_" in their names, which those of column 13
    contain: with the categories in front, no two of up to ten collide.
    """
    return [*categorical, *(column for column in range(n_columns) if column not in categorical)]


def positions(columns: np.ndarray, order: list[int]) -> list[int]:
    return [order.index(column) for column in columns.tolist()]


if __name__ == "__main__":
    main(*sys.argv[1:])
