"""A neural density: an autoregressive network with mixtures of Gaussians, column after column."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from buff.errors import MissingExtraError
from buff.protocols import Array

__all__ = ["NeuralDensity"]

#: Scales of a component are no smaller, in standard deviations of a column.
_LEAST_SCALE = 1e-3


class NeuralDensity(DensityMixin, BaseEstimator):  # type: ignore[misc]
    r"""Density of rows of numbers by a masked autoregressive network (MADE) with Gaussian mixtures.

    .. math:: p(x) = \prod_j \sum_k w_{jk}(x_{<j}) \, N(x_j; \mu_{jk}(x_{<j}), \sigma_{jk}(x_{<j}))

    Germain, Gregor, Murray, Larochelle, 2015, arXiv:1502.03509; mixtures as in Papamakarios, Pavlakou, Murray, 2017,
    arXiv:1705.07057. Columns are standardised; a tenth of the rows decides when to stop.

    Parameters
    ----------
    n_components : int
        Of each mixture.
    hidden : int
        Units of both hidden layers.
    epochs : int
        Passes over the rows, at most.
    patience : int
        Passes without a better held-out density after which training stops.
    learning_rate : float
    batch_size : int
    random_state : int

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> density = NeuralDensity(epochs=5).fit(x)
    >>> density.score_samples(x).shape
    (500,)
    """

    weights_: list[Any]
    masks_: list[Any]

    def __init__(
        self,
        n_components: int = 8,
        *,
        hidden: int = 128,
        epochs: int = 150,
        patience: int = 15,
        learning_rate: float = 2e-3,
        batch_size: int = 256,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.epochs = epochs
        self.patience = patience
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows (n, d) of numbers.

        Raises
        ------
        MissingExtraError
            PyTorch is not installed.
        """
        torch = _torch()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=20)
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0) + 1e-12
        generator = torch.Generator().manual_seed(self.random_state)
        z = torch.as_tensor((X - self.mean_) / self.scale_, dtype=torch.float32)
        z = z[torch.randperm(len(z), generator=generator)]
        held, rows = z[: len(z) // 10], z[len(z) // 10 :]
        self._start(X.shape[1], generator)
        optimizer = torch.optim.Adam(self.weights_, lr=self.learning_rate, weight_decay=1e-5)
        best, waited, kept = -np.inf, 0, [w.detach().clone() for w in self.weights_]
        for _ in range(self.epochs):
            for batch in rows[torch.randperm(len(rows), generator=generator)].split(self.batch_size):
                optimizer.zero_grad()
                (-self._log_density(batch).mean()).backward()
                optimizer.step()
            with torch.no_grad():
                density = float(self._log_density(held).mean())
            waited = 0 if density > best else waited + 1
            if density > best:
                best, kept = density, [w.detach().clone() for w in self.weights_]
            if waited >= self.patience:
                break
        self.weights_ = kept
        return self

    def score_samples(self, X: Any) -> Array:
        """Logarithm of the density of rows, in their units."""
        check_is_fitted(self)
        torch = _torch()
        X = validate_data(self, X, dtype=np.float64, reset=False)
        z = torch.as_tensor((X - self.mean_) / self.scale_, dtype=torch.float32)
        with torch.no_grad():
            parts = [self._log_density(batch) for batch in z.split(8192)]
        density: Array = torch.cat(parts).double().numpy() - np.log(self.scale_).sum()
        return density

    def score(self, X: Any, y: Any = None) -> float:
        """Mean logarithm of the density of rows."""
        return float(self.score_samples(X).mean())

    def _start(self, d: int, generator: Any) -> None:
        """Weights, and masks that let unit m see inputs up to its degree only."""
        torch = _torch()
        degrees = torch.arange(self.hidden) % max(d - 1, 1) + 1
        inputs, outputs = torch.arange(1, d + 1), torch.arange(1, d + 1).repeat_interleave(3 * self.n_components)
        self.masks_ = [
            (degrees[:, None] >= inputs).float(),
            (degrees[:, None] >= degrees).float(),
            (outputs[:, None] > degrees).float(),
        ]
        self.weights_ = []
        for mask in self.masks_:
            weight = torch.randn(mask.shape, generator=generator) / np.sqrt(mask.shape[1])
            self.weights_ += [weight.requires_grad_(), torch.zeros(len(mask)).requires_grad_()]
        means = torch.linspace(-1.5, 1.5, self.n_components)
        start = torch.stack([torch.zeros(self.n_components), means, torch.zeros(self.n_components)])
        self.weights_[-1] = start.flatten().repeat(d).requires_grad_()

    def _log_density(self, z: Any) -> Any:
        torch = _torch()
        h = z
        for i, mask in enumerate(self.masks_):
            h = torch.nn.functional.linear(h, self.weights_[2 * i] * mask, self.weights_[2 * i + 1])
            h = torch.nn.functional.silu(h) if i < 2 else h
        logits, means, scales = h.reshape(len(z), z.shape[1], 3, self.n_components).unbind(2)
        scales = torch.nn.functional.softplus(scales) + _LEAST_SCALE
        component = torch.distributions.Normal(means, scales).log_prob(z[:, :, None])
        return torch.logsumexp(torch.log_softmax(logits, dim=-1) + component, dim=-1).sum(dim=1)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "torch") from error
    return torch
