"""What estimators of flows share: their parameters, and the training of a flow by them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

import numpy as np

from buff.archive import Archive
from buff.couplings import MinibatchTransport
from buff.errors import check_growth, check_range, check_whole, install_hint
from buff.flows import (
    CostEstimate,
    FlowMatchingData,
    FlowModel,
    FlowSettings,
    MixtureModel,
    PatternedData,
    PatternedFlow,
    estimate_cost,
    train_flow,
    train_patterned,
)
from buff.generators.base import TableGenerator
from buff.grids import TimeGrid
from buff.protocols import Array, Mask, WeightsLike
from buff.randomness import seed_from
from buff.solvers import Solver
from buff.tables import Columns
from buff.transforms import TableTransformer
from buff.transforms.atoms import atoms_of
from buff.trees import TreeSettings, cuda_is_available
from buff.trees.regressor import FEATURES, LAYOUTS
from buff.weights import POLICIES

__all__ = ["FlowEstimator", "FlowPart", "margins_of", "resolve_device", "smooth_of", "train_rows"]

#: What a flow is fitted to: scores of rows, and the map that they come from.
FlowPart: TypeAlias = tuple[TableTransformer, FlowMatchingData | PatternedData]
#: Names under which XGBoost takes what its trees are grown with; others it would pass over in silence.
_TREE_PARAMS = (
    *("alpha", "base_score", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "device", "eta", "gamma"),
    *("grow_policy", "interaction_constraints", "lambda", "learning_rate", "max_bin", "max_cached_hist_node"),
    *("max_delta_step", "max_depth", "max_leaves", "min_child_weight", "min_split_loss", "monotone_constraints"),
    *("multi_strategy", "nthread", "num_parallel_tree", "objective", "refresh_leaf", "reg_alpha", "reg_lambda"),
    *("sampling_method", "seed", "subsample", "tree_method", "verbosity"),
)
#: What the name "transport" stands for: beyond this batch, pairing costs as much as the trees.
_TRANSPORT = MinibatchTransport(batch_size=128)


class FlowEstimator(TableGenerator):
    """A generator whose model is a flow of boosted trees; the parameters are described in :class:`buff.BUFF`."""

    model_: FlowModel | PatternedFlow | MixtureModel
    space_: TableTransformer

    # the parameters, of which every estimator has its own list with defaults, as scikit-learn asks
    n_steps: int
    solver: str | Solver
    grid: str | TimeGrid | Sequence[float]
    n_estimators: int
    max_depth: int
    learning_rate: float
    reg_lambda: float
    noise_budget: int
    coupling: Any
    early_stopping: int | None
    layout: str
    tree_features: str
    smooth_degree: int
    smooth_rows: int = 20  # a parameter of BUFFTransport alone
    categories: str
    tails: str
    bandwidth: float
    tree_params: Mapping[str, Any] | None
    device: str
    max_memory: int | None
    cache_dir: str | os.PathLike[str] | None
    # of BUFF alone, and of BUFFTransport
    given: str | None
    atoms: str
    classes: str | Sequence[str]
    relations: Any
    noise: str | float

    #: Names that ``coupling`` may have.
    _couplings: ClassVar[tuple[str, ...]] = ("independent", "transport")

    def _store_parameters(self, given: Mapping[str, Any]) -> None:
        """Set ``self.NAME`` for every parameter NAME of ``__init__``, from its ``locals()``: nothing else sets them."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    @property
    def flow_settings(self) -> FlowSettings:
        """The parameters that a flow is trained by, checked."""
        return FlowSettings(
            n_steps=self.n_steps,
            solver=self.solver,
            grid=self.grid,
            trees=self._tree_settings,
            noise_budget=self.noise_budget,
            n_jobs=self.n_jobs,
            max_memory=self.max_memory,
            cache_dir=self.cache_dir,
            verbose=self.verbose,
        )

    @property
    def _tree_settings(self) -> TreeSettings:
        """How trees are grown, checked."""
        check_growth(self)
        if self.early_stopping is not None:
            check_whole("early_stopping", self.early_stopping, 1)
        if self.layout not in ("auto", *LAYOUTS):
            raise ValueError(f"layout must be one of {['auto', *LAYOUTS]}, found {self.layout!r}")
        if self.tree_features not in FEATURES:
            raise ValueError(f"tree_features must be one of {list(FEATURES)}, found {self.tree_features!r}")
        if self.smooth_degree not in (0, 2, 3):
            raise ValueError(f"smooth_degree must be 0, 2 or 3, found {self.smooth_degree!r}")
        return TreeSettings(
            n_estimators=int(self.n_estimators),
            max_depth=int(self.max_depth),
            learning_rate=float(self.learning_rate),
            reg_lambda=float(self.reg_lambda),
            early_stopping=self.early_stopping,
            layout=self.layout,
            features=self.tree_features,
            smooth_degree=self.smooth_degree,
            smooth_rows=check_whole("smooth_rows", self.smooth_rows, 1),
            device=resolve_device(self.device),
            tree_params=_known_tree_params(self.tree_params),
        )

    def _check_parameters(self) -> None:
        """Raise ValueError or TypeError naming the first parameter that is off, what it is and what it may be."""
        if not isinstance(self.negative_weights, str) or self.negative_weights not in POLICIES:
            raise ValueError(f"negative_weights must be one of {', '.join(POLICIES)}, found {self.negative_weights!r}")
        check_range("bandwidth", self.bandwidth, 0, 1)
        self.get_coupling()
        _ = self.flow_settings.times  # refuses grids and solvers that have no nodes

    def get_coupling(self) -> MinibatchTransport | None:
        """How the two ends of a path are paired; None where no transport decides.

        Raises
        ------
        ValueError, TypeError
            Unknown name, something else than a transport, or one with labels of its own.
        """
        coupling, names = self.coupling, list(self._couplings)
        if isinstance(coupling, str) and coupling in names:
            return _TRANSPORT if coupling == "transport" else None
        if not isinstance(coupling, MinibatchTransport):
            error = ValueError if isinstance(coupling, str) else TypeError
            raise error(f"coupling must be one of {names} or a MinibatchTransport, found {coupling!r}")
        if coupling.labels is not None:
            raise ValueError("coupling has labels: leave them out, pairs are exchanged within conditions")
        return coupling

    def _new_space(self, columns: Columns, sample_weight: WeightsLike, schema: Any = None) -> TableTransformer:
        """A map of a table to scores and back."""
        options: dict[str, Any] = {"categories": self.categories, "tails": self.tails, "bandwidth": self.bandwidth}
        space = TableTransformer(schema or self._schema_overrides, **options)
        return space.fit(columns, sample_weight=sample_weight)

    def _plan(self, space: TableTransformer, data: FlowMatchingData | PatternedData) -> CostEstimate:
        """What :meth:`_train` would cost, after a trial."""
        values = data.values if isinstance(data, PatternedData) else data
        smooth = self._margins(space, data).get("smooth")
        return estimate_cost(values, with_tree_features(self.flow_settings, smooth), trial=True)

    def _train(self, space: TableTransformer, data: FlowMatchingData | PatternedData) -> None:
        """Fit the flow to rows that are scores already."""
        seed = None if self.random_state is None else seed_from(self.random_state)
        model = train_rows(data, self.flow_settings, **self._margins(space, data), seed=seed)
        assert model.cost is not None
        self._seed = model.seed
        self._set_model(model, model.cost)

    def _margins(self, space: TableTransformer, data: FlowMatchingData | PatternedData) -> dict[str, Mask]:
        """Which scores are ``smooth`` and ``calibrated``, as :func:`train_rows` takes them: none unless told."""
        return {}

    def _set_model(self, model: FlowModel | PatternedFlow | MixtureModel, cost: CostEstimate | None = None) -> None:
        """Set the fitted model, its records, its cost and the schemas."""
        self.model_, self.nodes_ = model, model.records
        if cost is not None:
            self.plan_ = cost
        self._set_schemas()

    def _load(self, archive: Archive) -> None:
        super()._load(archive)
        settings = self.flow_settings
        # files of 0.1.0 leave these to the parameters
        known = {"solver": settings.solver, "grid": settings.time_grid.times, "seed": archive.record["entropy"]}
        kind = MixtureModel if "classes" in archive.record else PatternedFlow
        parts = {**known, **archive.record}, archive.arrays, archive.blobs
        self._set_model(kind.from_arrays(*parts, device=settings.trees.device))


def train_rows(
    data: FlowMatchingData | PatternedData,
    settings: FlowSettings,
    *,
    smooth: Mask | None = None,
    calibrated: Mask | None = None,
    seed: int | None = None,
) -> FlowModel | PatternedFlow:
    """:func:`train_patterned` where rows have patterns, else :func:`train_flow`; ``smooth`` decides on features."""
    settings = with_tree_features(settings, smooth)
    if isinstance(data, PatternedData):
        return train_patterned(data, settings, calibrated=calibrated, seed=seed)
    return train_flow(data, settings, calibrated=calibrated, seed=seed)


def with_tree_features(settings: FlowSettings, smooth: Mask | None) -> FlowSettings:
    """Settings with ``features="auto"`` settled for scores of which some are ``smooth``, bool of shape (d,).

    Principal axes of steps mean little: where most scores are steps of numbers or labels that repeat, trees do better
    on the scores alone.
    """
    if settings.trees.features != "auto" or smooth is None or 2 * np.count_nonzero(smooth) >= len(smooth):
        return settings
    return replace(settings, trees=replace(settings.trees, features="scores"))


def smooth_of(space: TableTransformer, data: FlowMatchingData | PatternedData) -> Array:
    """Which scores hardly ever repeat, apart from atoms that are drawn first."""
    if isinstance(data, PatternedData):
        return np.array([atom.smooth for atom in atoms_of(space)], bool)
    return space.smooth


def margins_of(space: TableTransformer, data: FlowMatchingData | PatternedData, *, fine: bool) -> dict[str, Mask]:
    """Masks of scores: ``smooth`` ones (:func:`smooth_of`), and ``calibrated`` ones, which are these or ``fine`` too.

    Scores of frequent values are not calibrated: moving the levels of one column would change its dependence on others.
    """
    smooth = smooth_of(space, data)
    calibrated = np.array([part.fine for part in atoms_of(space)], bool) if fine and space.has_atoms else smooth
    return {"smooth": smooth, "calibrated": smooth | calibrated}


def resolve_device(device: Any) -> str:
    """``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ValueError
        Unknown device, or no GPU where one is asked for.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', found {device!r}")
    if device == "cuda" and not cuda_is_available():
        raise ValueError(
            "device='cuda' needs an NVIDIA GPU, an XGBoost built for CUDA and CuPy "
            f"({install_hint('gpu')}): one of them is missing; use device='cpu' or 'auto'"
        )
    return device if device != "auto" else "cuda" if cuda_is_available() else "cpu"


def _known_tree_params(given: object) -> dict[str, Any]:
    """XGBoost's parameters, if it knows them."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"tree_params must be a mapping of XGBoost's parameters or None, found {given!r}")
    unknown = sorted(set(given or {}) - set(_TREE_PARAMS), key=str)
    if unknown:
        raise ValueError(f"tree_params has the unknown names {unknown}, XGBoost knows {', '.join(_TREE_PARAMS)}")
    for name, value in (given or {}).items():
        # XGBoost takes a share of 0, and stops with a trace of its own at a bin
        if name.startswith(("subsample", "colsample")):
            check_range(f"tree_params: {name}", value, 0, 1, "(]")
        if name == "max_bin":
            check_whole("tree_params: max_bin", value, 2)
    return dict(given or {})
