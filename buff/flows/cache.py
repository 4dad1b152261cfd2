"""Cache of fitted nodes on disk: an interrupted fit continues with the missing nodes."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from buff.files import whole_file
from buff.flows.cost import NodeRecord, NodeRecords
from buff.flows.data import FlowMatchingData
from buff.flows.nodes import SmoothedTrees
from buff.flows.stored import load_trees
from buff.trees import Booster, TreeSettings

__all__ = ["NodeCache", "cache_in", "fingerprint"]


def fingerprint(data: FlowMatchingData, settings: TreeSettings, n_draws: int, **more: Any) -> str:
    """Hash of everything that decides about the trees: data, settings and versions."""
    import xgboost

    digest, source = hashlib.blake2b(digest_size=16), data.source
    rows = (*data.scores.arrays, data.condition, data.weights)
    for part in (*rows, source.samples, source.weights, source.labels, source.sample_labels):
        digest.update(b"none" if part is None else str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    facts = {**asdict(settings), "tree_params": dict(settings.tree_params), "n_draws": n_draws, **more}
    facts |= {"noise": source.noise, "coupling": repr(source.coupling)}
    facts["xgboost"] = xgboost.__version__
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class NodeCache:
    """A folder of nodes that belong to one fingerprint.

    Parameters
    ----------
    folder : path
        ``cache_dir / fingerprint``: trees of other data or settings live elsewhere and are never looked at.
    """

    folder: Path

    def load(self, i: int, n_outputs: int, device: str) -> tuple[Booster | SmoothedTrees, NodeRecord] | None:
        """Node i, or None if it was not finished or its files are damaged."""
        trees, record = self._paths(i)
        try:
            raw, row = trees.read_bytes(), json.loads(record.read_bytes())
            known = row["trees"] == _digest(raw)
            return (load_trees(raw, n_outputs, device), NodeRecords.from_list([row])[0]) if known else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
            return None

    def store(self, i: int, trees: Booster | SmoothedTrees, record: NodeRecord) -> None:
        """Store node i; the record is written last, so that a record implies complete trees."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, row = self._paths(i)
        raw = trees.to_bytes()
        facts = json.dumps(NodeRecords([record]).to_list()[0] | {"trees": _digest(raw)}).encode()
        for name, content in ((path, raw), (row, facts)):
            with whole_file(name) as file:
                file.write(content)

    def _paths(self, i: int) -> tuple[Path, Path]:
        return self.folder / f"node_{i:04d}.ubj", self.folder / f"node_{i:04d}.json"


def _digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def cache_in(
    folder: str | os.PathLike[str],
    data: FlowMatchingData,
    trees: TreeSettings,
    n_draws: int,
    times: tuple[float, ...],
    seed: int | None,
) -> tuple[NodeCache, int]:
    """Where finished nodes are kept, and the seed: a fit that is to be resumed must not draw a new one."""
    key = fingerprint(data, trees, n_draws, times=times, seed="none" if seed is None else seed)
    return NodeCache(Path(folder) / key), int(key, 16) if seed is None else seed
