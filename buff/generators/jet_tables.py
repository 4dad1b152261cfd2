"""The models of the table of jets: of all features, and of what particles start from where features are given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from buff.flows.stages import StageNoise
from buff.generators.buff import BUFF
from buff.generators.jet_features import JetFeatures
from buff.generators.jet_table import KINEMATICS, MarginMap, class_labels, mirrored
from buff.protocols import Array, ConditionLike, Weights
from buff.tables import Columns
from buff.transforms import ConditionEncoder

__all__ = ["JetTables"]

#: Coordinates that may have a mirror, and where the noise of their signs starts among the streams of an event.
_SIGNED, _STREAM = KINEMATICS[1:3], 2**20 - 1
#: Jets that margins are read from, and rows from which they are.
_DRAWN, _LEAST = 50_000, 500


@dataclass(frozen=True, eq=False)
class JetTables:
    """Fitted models.

    Attributes
    ----------
    model : BUFF
        Of kinematics, features and guides, given the condition.
    encoder : ConditionEncoder or None
        Of the condition.
    given : BUFF or None
        Of kinematics and guides, given features and condition.
    margins, given_margins : MarginMap or None
        What becomes of the columns that ``model`` and ``given`` draw.
    mirrors : tuple of str
        Coordinates of the centroid whose sign means nothing: jets are drawn with either; with the pseudorapidity of
        jets among them, eta changes its sign together with it.
    """

    model: BUFF
    encoder: ConditionEncoder | None = None
    given: BUFF | None = None
    margins: MarginMap | None = None
    given_margins: MarginMap | None = None
    mirrors: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        models: tuple[BUFF, BUFF | None],
        table: Mapping[str, Array],
        features: JetFeatures,
        jets: Mapping[str, Array] | None,
        condition: ConditionLike,
        weights: Weights | None,
    ) -> "JetTables":
        """Fit the models (the second one only if there is one) to the columns of ``table``."""
        model, given = models
        model.fit(pa.table(dict(table)), condition=condition, sample_weight=weights)
        tables = cls(model, None if condition is None else ConditionEncoder().fit(condition, weights))
        if weights is None:
            tables = replace(tables, margins=tables._read_margins(table, condition))
            known = tables.condition_features(condition, len(table[KINEMATICS[0]]))
            tables = replace(tables, mirrors=mirrored(table, known, features.odd))
        if given is None or jets is None:
            return tables
        asked = features.given_table(jets, tables.aligned(condition))
        drawn = {name: values for name, values in table.items() if name in KINEMATICS or name.startswith("guides.")}
        given.fit(pa.table(drawn), condition=asked, sample_weight=weights)
        tables = replace(tables, given=given)
        if weights is not None or len(asked) < _LEAST:
            return tables
        few = asked.slice(0, _DRAWN)
        again = given.sample(len(few), condition=few, random_state=1)
        pair = {name: again[name].to_numpy() for name in drawn}, drawn
        smooth = [name for name, values in drawn.items() if values.dtype.kind == "f"]
        return replace(tables, given_margins=MarginMap.fit(smooth, np.zeros((1, 0)), [pair]))

    def aligned(self, condition: Any, n: int | None = None) -> Columns | None:
        """Columns of a condition; a single row is spread over n."""
        if condition is None or self.encoder is None:
            return None
        columns: Columns = replace(self.encoder.aligned(condition), names=self.encoder.names)
        return columns if n is None or len(columns) == n else columns.take(np.zeros(n, np.intp))

    def condition_features(self, condition: ConditionLike, n: int) -> Array:
        """Features (n, c) of a condition; c is 0 without one."""
        if self.encoder is None:
            return np.zeros((n, 0))
        features = np.asarray(self.encoder.transform(condition), np.float64)
        return np.broadcast_to(features, (n, features.shape[1])) if len(features) == 1 else features

    def n_conditions(self, condition: ConditionLike) -> int | None:
        """Rows of a condition; None without one.

        Raises
        ------
        ValueError
            The model knows no conditions.
        """
        if condition is None:
            return None
        if self.encoder is None:
            raise ValueError("the model was fitted without condition: fit it with one, or leave condition out")
        return len(self.encoder.transform(condition))

    def draw(
        self,
        n: int,
        condition: ConditionLike,
        given: Mapping[str, Array] | None,
        features: JetFeatures,
        options: Mapping[str, Any],
    ) -> tuple[dict[str, Array], Any]:
        """Columns of n jets, and the conditions of all of them.

        Raises
        ------
        ValueError
            Features are given to a model that cannot take them, or without the condition that goes with them.
        """
        if given is None:
            drawn, condition = self.model.sample(n, condition=condition, **options, return_condition=True)
            columns = {name: drawn[name].to_numpy() for name in drawn.column_names}
            if self.margins is not None:
                columns = self.margins(columns, self.condition_features(condition, n))
            noise = StageNoise(options["random_state"], options["first_event"] + np.arange(n), _STREAM).draw(0, 1, 2)[
                :, 0
            ]
            together = [name for name in self.mirrors if name not in _SIGNED]
            for name in self.mirrors:
                if together and name != _SIGNED[1]:
                    columns[name] = columns[name] * np.sign(noise[:, 0])
                else:
                    columns[name] = np.copysign(columns[name], noise[:, _SIGNED.index(name)])
            return columns, condition
        if self.given is None:
            raise ValueError("jets: the model was fitted with given_jets=False, or without features of jets")
        if self.encoder is not None and condition is None:
            raise ValueError(f"condition: the model is conditional, pass {list(self.encoder.names)} too")
        asked = features.given_table(given, self.aligned(condition, n))
        drawn = self.given.sample(n, condition=asked, **options)
        columns = {name: drawn[name].to_numpy() for name in drawn.column_names}
        if self.given_margins is not None:
            columns = self.given_margins(columns, np.zeros((n, 0)))
        return columns, condition

    def _read_margins(self, table: Mapping[str, Array], condition: ConditionLike) -> MarginMap | None:
        features = self.condition_features(condition, len(table[KINEMATICS[0]]))
        labels = class_labels(features)
        if labels is None or len(features) < _LEAST:
            return None
        columns, pairs = self.aligned(condition), []
        for label in labels:
            of_class = (features == label).all(axis=1)
            asked = None if columns is None else columns.take([int(of_class.argmax())])
            drawn = self.model.sample(_DRAWN // len(labels), condition=asked, random_state=1)
            wanted = {name: values[of_class] for name, values in table.items()}
            pairs.append(({name: drawn[name].to_numpy() for name in table}, wanted))
        return MarginMap.fit([name for name, values in table.items() if values.dtype.kind == "f"], labels, pairs)
