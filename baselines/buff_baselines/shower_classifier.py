"""The CaloChallenge's classifier: a network that tells generated from simulated showers."""

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

__all__ = ["challenge_auc"]

Array = Any


def challenge_auc(
    real: Array,
    generated: Array,
    *,
    hidden: int = 512,
    n_layers: int = 2,
    epochs: int = 50,
    batch_size: int = 1000,
    learning_rate: float = 2e-4,
    random_state: int = 0,
) -> float:
    """Area under the ROC curve of a perceptron on inputs of :func:`buff.metrics.shower_inputs`.

    An input layer and ``n_layers`` more of ``hidden`` leaky rectifiers, cross-entropy, Adam; 60 % of each sample train
    it, on 20 % the epoch with the highest accuracy is chosen, on 20 % the area is measured. Single precision. The
    challenge's final scores have 2 layers of 2048.

    Parameters
    ----------
    real, generated : array of shape (n, inputs)
        As many of each.
    hidden, n_layers, epochs, batch_size, learning_rate
        Defaults of the challenge's evaluation.
    random_state : int

    Returns
    -------
    float

    References
    ----------
    C. Krause et al. (2024), arXiv:2410.21611.
    """
    import torch

    torch.manual_seed(random_state)
    rng = np.random.default_rng(random_state)
    n = min(len(real), len(generated))
    cuts = [int(0.6 * n), int(0.8 * n)]
    parts = [np.split(np.asarray(x, np.float32)[rng.permutation(len(x))[:n]], cuts) for x in (real, generated)]
    train, choose, judge = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    labels = [np.repeat([0.0, 1.0], len(x) // 2).astype(np.float32) for x in (train, choose, judge)]
    network = _network(train.shape[1], hidden, n_layers)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    loss = torch.nn.BCEWithLogitsLoss()
    best, area = -1.0, 0.5
    for _ in range(epochs):
        order = rng.permutation(len(train))
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            optimizer.zero_grad()
            loss(network(torch.from_numpy(train[rows]))[:, 0], torch.from_numpy(labels[0][rows])).backward()
            optimizer.step()
        accuracy = float(((_scores(network, choose) > 0) == labels[1]).mean())
        if accuracy > best:
            best, area = accuracy, float(roc_auc_score(labels[2], _scores(network, judge)))
    return area


def _network(n_inputs: int, hidden: int, n_layers: int) -> Any:
    import torch

    layers: list[Any] = [torch.nn.Linear(n_inputs, hidden), torch.nn.LeakyReLU()]
    for _ in range(n_layers):
        layers += [torch.nn.Linear(hidden, hidden), torch.nn.LeakyReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(hidden, 1))


def _scores(network: Any, x: Array) -> Array:
    import torch

    with torch.no_grad():
        return network(torch.from_numpy(x))[:, 0].numpy()
