"""ParticleNet with the weights that come with the package ``jetnet``, in NumPy: the features of FPND.

The package runs it through torch_geometric and torch_cluster, which are built for each version of PyTorch; here its
files are enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from buff.errors import MissingExtraError
from buff.protocols import Array, Numbers

__all__ = ["ParticleNet", "resources"]

#: Neighbours of a particle, jets at a time.
_NEIGHBOURS, _BATCH = 16, 64
#: Largest absolute eta_rel, phi_rel and pt_rel of JetNet, and what is added to their quotients.
_LARGEST, _SHIFT = np.array([1.6211985349655151, 0.520724892616272, 0.8934717178344727]), np.array([0.0, 0.0, -0.5])
_BATCH_NORM_EPS = 1e-5


def resources() -> Path:
    """The folder of weights and of the real jets' moments.

    Raises
    ------
    MissingExtraError
        Without the package ``jetnet``.
    FileNotFoundError
        A version of it that comes without them.
    """
    spec = find_spec("jetnet")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("jetnet", "jetnet")
    folder = Path(spec.submodule_search_locations[0], "evaluation", "fpnd_resources", "jetnet", "30_particles")
    if not (folder / "pnet_state_dict.pt").exists():
        raise FileNotFoundError(f"{folder} holds no pnet_state_dict.pt: FPND takes the weights of jetnet 0.2.5")
    return folder


@dataclass(frozen=True, eq=False)
class ParticleNet:
    """Three edge convolutions, a mean over the particles and a linear layer.

    Attributes
    ----------
    blocks : tuple of three tuples of (matrix, bias)
        Layers of each convolution, batch normalisation within them.
    last : (matrix, bias)

    References
    ----------
    H. Qu and L. Gouskos (2019), arXiv:1902.08570; R. Kansal et al. (2021), arXiv:2106.11535.
    """

    blocks: tuple[tuple[tuple[Array, Array], ...], ...]
    last: tuple[Array, Array]

    @classmethod
    def of(cls, state: Mapping[str, Array]) -> "ParticleNet":
        """From the package's state, by name."""
        blocks = []
        for i in range(3):
            layers = []
            for j in (0, 3, 6):
                w, b = (state[f"edge_nets.{i}.model.{j}.{name}"] for name in ("weight", "bias"))
                norm = {
                    name: state[f"edge_nets.{i}.model.{j + 1}.{name}"]
                    for name in ("weight", "bias", "running_mean", "running_var")
                }
                factor = norm["weight"] / np.sqrt(norm["running_var"] + _BATCH_NORM_EPS)
                layers.append((w.T * factor, (b - norm["running_mean"]) * factor + norm["bias"]))
            blocks.append(tuple(layers))
        return cls(tuple(blocks), (state["fc1.0.weight"].T, state["fc1.0.bias"]))

    @classmethod
    def load(cls, path: Path) -> "ParticleNet":
        """From the package's file.

        Raises
        ------
        MissingExtraError
            Without PyTorch, which reads it.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("torch", "torch") from error
        state = torch.load(path, map_location="cpu", weights_only=True)
        return cls.of({name: tensor.numpy() for name, tensor in state.items()})

    def activations(self, particles: Numbers) -> Array:
        """Of jets (n, k, 3), padding included, as the package has it: shape (n, 256)."""
        x = (particles / _LARGEST + _SHIFT).astype(np.float32)
        parts = [self._batch(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
        return np.concatenate(parts).astype(np.float64)

    def _batch(self, x: Array) -> Array:
        for i, layers in enumerate(self.blocks):
            near = _neighbours(x[..., :2] if i == 0 else x)
            x = np.concatenate([_edge_convolution(x, near, layers), x], axis=2)
        weight, bias = self.last
        return np.asarray(x.mean(axis=1) @ weight + bias)


def _neighbours(x: Array) -> Array:
    """Numbers of the nearest others of each particle, (n, k, 16)."""
    x = x.astype(np.float64)
    squares = (x**2).sum(axis=2)
    distance = squares[:, :, None] + squares[:, None, :] - 2 * x @ x.swapaxes(1, 2)
    distance[:, np.arange(x.shape[1]), np.arange(x.shape[1])] = np.inf
    return np.argpartition(distance, _NEIGHBOURS - 1, axis=2)[..., :_NEIGHBOURS]


def _edge_convolution(x: Array, near: Array, layers: tuple[tuple[Array, Array], ...]) -> Array:
    """Means over neighbours j of a network of ``(x_i, x_j - x_i)``."""
    (first, bias), *others = layers
    d = x.shape[2]
    own, theirs = x @ (first[:d] - first[d:]) + bias, x @ first[d:]
    edges = own[:, :, None, :] + theirs[np.arange(len(x))[:, None, None], near]
    shape = edges.shape
    edges = edges.reshape(-1, shape[-1])  # one product of matrices, not one a particle
    for weight, bias in others:
        edges = np.maximum(edges, 0.0) @ weight + bias
    return np.asarray(np.maximum(edges, 0.0).reshape(shape).mean(axis=2))
