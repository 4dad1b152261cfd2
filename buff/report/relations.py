"""Exact relations of the real columns, and how many generated rows break them."""

from html import escape

import numpy as np
import pyarrow as pa

from buff.report.page import table_html
from buff.tables import read, read_alike
from buff.tables.relations import BrokenRelationError, Relation, find_relations

__all__ = ["RELATIONS_NOTE", "relations_table"]

RELATIONS_NOTE = (
    "What holds in every real row and would not by accident. A generated row breaks a relation by values that do not "
    "go together; a label that follows from another has to be the one that real rows have with it."
)


def relations_table(real: pa.Table, generated: pa.Table, columns: list[str]) -> str:
    """A row for each relation that the real rows keep; nothing where there is none."""
    columns = [name for name in columns if name in real.column_names and name in generated.column_names]
    if not columns:
        return ""
    alike = read_alike({"real": real.select(columns), "generated": generated.select(columns)})
    n_real = real.num_rows
    # real rows come first: generated ones are held against what these tell
    table = {name: np.concatenate(alike.parts(j)) for j, name in enumerate(alike.names)}
    rows = []
    for relation in find_relations(read(real.select(list(alike.names)))):
        share = _broken(relation, table) / max(generated.num_rows, 1)
        grade = "good" if share == 0 else "fair" if share < 0.005 else "poor"
        cells = [f"{n_real:,}", f'<span class="{grade}">{share:.2%}</span>']
        rows.append([escape(str(relation)), relation.kind, *cells])
    return table_html(["relation", "kind", "real rows that keep it", "generated rows that break it"], rows)


def _broken(relation: Relation, table: dict[str, np.ndarray]) -> int:
    try:
        relation.learn(table)
    except BrokenRelationError as error:
        return error.n_broken
    return 0
