"""``buff impute``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from buff.cli.options import Exclude, Jobs, MaxRows, SchemaFile, Seed, existing, listed, read_schema, takes_text

__all__ = ["impute"]


@takes_text
def impute(
    events: Annotated[Path, typer.Argument(metavar="TABLE", help="Table with missing cells.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Filled table to write.")],
    copies: Annotated[
        int, typer.Option(min=1, help="Tables, each filled anew: FILE-1, FILE-2, ... (n_imputations).")
    ] = 1,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="A saved imputer; by default one is fitted to the table.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="MODEL", help="Keep the imputer that is fitted.")] = None,
    exclude: Exclude = None,
    max_rows: MaxRows = None,
    schema: SchemaFile = None,
    seed: Seed = None,
    jobs: Jobs = None,
    *,
    text: Any,
) -> None:
    """Fill the missing cells of a table with draws from their distribution given the others.

    Cells that are there come back as they are. The scatter between --copies is what the gaps leave unknown.

    \b
    Examples:
      buff impute survey.csv -o filled.csv --na-values "?"
      buff impute survey.parquet -o filled.parquet --copies 5 --seed 1
    """
    from buff.archive import load
    from buff.generators import BUFFImputer
    from buff.io import TableWriter, column_names, read_table

    out = listed(exclude) or []
    kept = [name for name in column_names(existing(events), options=text) if name not in out]
    table = read_table(events, kept if out else None, max_rows, options=text)
    if model is None:
        imputer = BUFFImputer(schema=read_schema(schema), n_jobs=jobs, random_state=seed).fit(table)
    else:
        imputer = load(existing(model))
        if not isinstance(imputer, BUFFImputer):
            raise ValueError(f"{model} is a {type(imputer).__name__} and no imputer: `buff impute --save` writes one")
        imputer.set_params(n_jobs=jobs)
    if save is not None:
        imputer.save(save)
    gaps = sum(column.null_count for column in table.columns)
    for k, filled in enumerate(imputer.impute(table, copies, random_state=seed), 1):
        path = output if copies == 1 else output.with_name(f"{output.stem}-{k}{output.suffix}")
        with TableWriter(path) as writer:
            writer.write(filled)
        typer.echo(f"{path}: {table.num_rows:,} rows, {gaps:,} cells filled")
