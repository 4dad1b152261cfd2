"""What neural generators share: the door of buff.BUFF, training, and sampling with any of buff's solvers."""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from torch import nn
from tqdm import tqdm

from buff.archive import Archive, read_archive
from buff.errors import ArchiveError, check_whole, warn
from buff.fields import Guided
from buff.flows import SampleRequest
from buff.generators.base import EventGenerator
from buff.generators.contracts import TrainingTable
from buff.grids import TimeGrid, get_grid
from buff.paths import LINEAR, Path, get_path
from buff.protocols import Array
from buff.randomness import seed_from
from buff.schedules import SCHEDULES, Schedule
from buff.solvers import Solver
from buff_baselines.checks import check_number, check_parameters, check_weights, get_device
from buff_baselines.data import TrainingData
from buff_baselines.fields import get_solver
from buff_baselines.frames import FrameMatching, FrameNetwork
from buff_baselines.likelihood import WithDensity
from buff_baselines.model import NeuralModel
from buff_baselines.networks import OptionalCondition, make_network, parameter_count
from buff_baselines.objectives import Objective
from buff_baselines.spaces import SPACES, Levels
from buff_baselines.training import Rows, StepRecord, Trainer, TrainingSettings

__all__ = ["NeuralGenerator"]

#: Largest frequency of the waves of files that do not tell it.
_OLD_FREQUENCY = 1000.0
#: What files say in place of a network that is none of buff's.
_OWN = "own"
#: Iterations after which a network of buff, or one's own, that is no better than a Gaussian is told of; and the loss
#: that is no better.
_ENOUGH, _ENOUGH_OF_OWN, _GAUSSIAN_LOSS = 1000, 100, 0.997


class NeuralGenerator(WithDensity, EventGenerator):
    """What all neural baselines share: training, and sampling with any of buff's solvers."""

    hidden: tuple[int, ...] | None

    if TYPE_CHECKING:  # each baseline has parameters of its own

        def __getattr__(self, name: str) -> Any: ...

    def sample(
        self,
        n_samples: int = 1,
        *,
        condition: Any = None,
        random_state: Any = None,
        first_event: int = 0,
        batch_size: int | None = None,
        return_condition: bool = False,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | Sequence[float] | None = None,
        n_steps: int | None = None,
        guidance: float | Callable[[float], float] = 1.0,
    ) -> Any:
        """Draw events; parameters as for :meth:`buff.BUFF.sample`.

        A network knows every time, so ``solver``, ``grid`` and ``n_steps`` may differ from those of the estimator:
        names, or for parameters of their own what :func:`buff.solvers.get_solver` and :func:`buff.grids.get_grid` give.
        Event i depends on the random state and on i alone, to single precision (if the solver treats rows alone).

        ``guidance`` is the weight of :class:`buff.fields.Guided`, each time for two evaluations of the network: 1
        follows the condition as learned, more overstates it, 0 ignores it; or a function of the time that gives it,
        ``lambda t: 3.0 if 0.2 < t < 0.8 else 1.0``. It needs a fit with ``condition_dropout``.
        """
        asked = self._asked(solver, grid, n_steps, guidance)
        return super(NeuralGenerator, asked).sample(
            n_samples,
            condition=condition,
            random_state=random_state,
            first_event=first_event,
            batch_size=batch_size,
            return_condition=return_condition,
        )

    def trajectory(
        self,
        n_samples: int = 1,
        *,
        condition: Any = None,
        random_state: Any = None,
        solver: str | Solver | None = None,
        grid: str | TimeGrid | Sequence[float] | None = None,
        n_steps: int | None = None,
        guidance: float | Callable[[float], float] = 1.0,
    ) -> Iterator[Any]:
        """The events of :meth:`sample` on their way, with the same solver, grid, n_steps and guidance."""
        asked = self._asked(solver, grid, n_steps, guidance)
        return super(NeuralGenerator, asked).trajectory(n_samples, condition=condition, random_state=random_state)

    @property
    def network_(self) -> nn.Module:
        """The trained network."""
        network: nn.Module = self.model_.field.network
        return network

    def draw_scores(self, n: int, seed: int) -> tuple[Array, Array | None]:
        """``n`` events in the space of the model, and the features of their conditions."""
        features = self._conditions(n, None, seed, 0)[1]
        return self.model_.draw(SampleRequest(n, seed, condition=features)), features

    def _asked(
        self,
        solver: str | Solver | None,
        grid: str | TimeGrid | Sequence[float] | None,
        n_steps: int | None,
        guidance: float | Callable[[float], float],
    ) -> Self:
        asked = self._solved_by(None if solver is None else get_solver(solver), grid, n_steps)
        if callable(guidance) or check_number("guidance", guidance) != 1:
            if self._encoder is None or not self.condition_dropout:
                shown = guidance if callable(guidance) else f"{guidance:g}"
                raise ValueError(
                    f"guidance = {shown} needs a network that knows its events without a condition too: fit it "
                    "with a condition and condition_dropout=0.1"
                )
            asked.model_ = replace(asked.model_, field=Guided(asked.model_.field, guidance))
        return asked

    def _grid(self, grid: str | TimeGrid | Sequence[float] | None, n_steps: int | None) -> TimeGrid:
        chosen = self.grid if grid is None else grid
        if n_steps is None and isinstance(chosen, str):
            n_steps = self.n_steps
        return get_grid(chosen, None if n_steps is None else check_whole("n_steps", n_steps, 1))

    def _objective(self, width: float) -> Objective:
        raise NotImplementedError

    def _check_parameters(self) -> None:
        check_parameters(self)

    def _learn(self, table: TrainingTable) -> None:
        columns, features = table.columns, table.features
        self._seed = seed_from(self.random_state)
        seed, device = int(np.random.SeedSequence(self._seed).generate_state(1)[0]), get_device(self.device)
        weights = None if table.weights is None else np.asarray(table.weights, np.float64)
        if weights is not None:
            check_weights(weights, len(columns))
        self.space_ = SPACES[self.preprocessing]().fit(columns, sample_weight=weights)
        self._set_schemas()
        held_out = self.held_out if self.early_stopping is not None else 0.0
        rows = Rows.split(len(columns), held_out, seed, weights)
        given = None if features is None else torch.from_numpy(features)
        data = TrainingData(Levels.of(self.space_, columns), given, rows, float(self.condition_dropout))
        objective = self._objective(data.width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._network(objective)
        if isinstance(network, FrameNetwork):
            network.set_moments(data.x1, rows.weights)
        network = network.to(device)
        settings = self._settings(seed, data, objective)
        trainer = Trainer(network, data.to(device).loss(objective, self._coupling()), data.rows, settings)
        for _ in self._watched(trainer):
            pass
        self.history_ = tuple(trainer.history)
        if isinstance(objective, FrameMatching) and objective.path == LINEAR:
            self._tell_unlearned()
        self._set_network(trainer.averaged.eval(), objective)

    def _tell_unlearned(self) -> None:
        """In its frame a Gaussian alone has loss 1 on the linear path, to a thousandth or two after so long."""
        first, last = self.history_[0], self.history_[-1]
        enough = _ENOUGH if isinstance(self.network, str) else _ENOUGH_OF_OWN
        if last.iteration >= enough and min(first.loss, last.loss) > _GAUSSIAN_LOSS:
            warn(
                f"after {last.iteration} iterations the network takes {max(0.0, 1 - last.loss):.2%} off the loss of a "
                "Gaussian, whose events it gives: right for Gaussian data; else train longer, or start it otherwise, "
                "with layers that keep the width of the state"
            )

    def _set_network(self, network: nn.Module, objective: Objective) -> None:
        self.model_ = NeuralModel(
            objective.field(network), get_solver(self.solver), self._grid(None, None), self.space_.n_dims_
        )
        self.n_parameters_ = parameter_count(network)

    def _network(self, objective: Objective) -> nn.Module:
        d, c = self.space_.n_dims_, 0 if self._encoder is None else self._encoder.n_dims
        optional = bool(c and self.condition_dropout)
        shape = (d, c + optional, self.hidden, d * objective.n_outputs)
        network = make_network(self.network, *shape, max_frequency=float(self.max_frequency))
        return OptionalCondition(network, c) if optional else network

    def _coupling(self) -> str | None:
        return None

    def _settings(self, seed: int, data: TrainingData, objective: Objective) -> TrainingSettings:
        problem = "" if self.checkpoint is None else data.fingerprint(objective, self._coupling())
        return TrainingSettings(
            n_iterations=int(self.n_iterations),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            ema=float(self.ema),
            early_stopping=self.early_stopping,
            max_seconds=self.max_seconds,
            bf16=bool(self.bf16),
            compile=bool(self.compile),
            checkpoint=None if self.checkpoint is None else pathlib.Path(self.checkpoint),
            problem=problem,
            seed=seed,
        )

    def _watched(self, trainer: Trainer) -> Iterator[StepRecord]:
        with tqdm(total=trainer.settings.n_iterations, desc="iterations", disable=not self.verbose) as bar:
            for record in trainer.steps():
                bar.update(record.iteration - bar.n)
                bar.set_postfix(loss=f"{record.loss:.4f}")
                yield record

    def to_archive(self) -> Archive:
        """See :class:`buff.generators.base.EventGenerator`; of a network of one's own the weights alone."""
        archive = super().to_archive()
        parameters = dict(archive.record["parameters"])
        if isinstance(self.network, nn.Module):
            parameters["network"] = _OWN
        if isinstance(path := parameters.get("path"), Path | Schedule):
            path = get_path(path)
            names = {kind: name for name, kind in SCHEDULES.items()}
            known = type(path.schedule) in names
            if not known:
                warn(
                    f"the schedule {type(path.schedule).__name__} of path is not in the file, which keeps schedules "
                    "that have a name: read back, the model samples the same events, but its path is None and a new "
                    "fit takes the linear one"
                )
            parameters["path"] = [names[type(path.schedule)], vars(path.schedule)] if known else None
        return replace(archive, record={**archive.record, "parameters": parameters})

    @classmethod
    def from_archive(cls, archive: Archive, network: nn.Module | None = None) -> Self:
        """Inverse of :meth:`to_archive`."""
        parameters = dict(archive.record["parameters"])
        if (parameters.get("network") == _OWN) is not (network is not None):
            raise ArchiveError(
                f"its network is a module of its author: {cls.__name__}.load(path, network) takes it"
                if network is None
                else f"its network is {parameters.get('network')!r}, which buff.load makes"
            )
        if network is not None:
            parameters["network"] = network
        if isinstance(path := parameters.get("path"), list):
            parameters["path"] = get_path(path[0], **path[1])
        return super().from_archive(replace(archive, record={**archive.record, "parameters": parameters}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: nn.Module | None = None) -> Self:
        """A model from its file; :func:`buff.load` cannot make one with a network of one's own.

        Parameters
        ----------
        path : path
            Where ``save`` wrote the model.
        network : torch.nn.Module, optional
            One's own, built as for the fit; its weights come from the file. None for the networks that have a name.

        Raises
        ------
        ArchiveError
            The file is no such model, or its weights do not fit the network.
        """
        archive = read_archive(path)
        if archive.kind != cls.__name__:
            raise ArchiveError(f"{path} holds a {archive.kind[:40]!r}, no {cls.__name__}")
        try:
            return cls.from_archive(archive, network)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, ArchiveError):
                raise
            what = "its parameters" if network is None else f"the network {type(network).__name__}"
            raise ArchiveError(f"{path} does not fit {what}: {error}") from error

    def _load(self, archive: Archive) -> None:
        self.hidden = None if self.hidden is None else tuple(self.hidden)
        if "max_frequency" not in archive.record["parameters"]:
            self.max_frequency = _OLD_FREQUENCY
        # files of 0.1.0 know the features from the space alone
        width = len(archive.record["space"]["template"]["names"])
        super()._load(replace(archive, record={"features": [width, None], **archive.record}))
        objective = self._objective(archive.record["width"])
        network = self._network(objective)
        network.load_state_dict(load_tensors(archive.blobs["network.safetensors"]))
        self._set_network(network.requires_grad_(False).eval().to(get_device(self.device)), objective)
        self.history_ = ()

    def _load_space(self, record: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
        space: Any = SPACES[self.preprocessing]
        return space.from_arrays(record, arrays)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        ranked = self.preprocessing == "rank"
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = ranked
        tags.non_deterministic = False
        return tags
