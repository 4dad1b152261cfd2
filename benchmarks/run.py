"""``python -m benchmarks.run CASE --data DIR``: measure a case, write its record, print its table."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from joblib import cpu_count

from benchmarks.case import Bench, Case
from benchmarks.cases import case_names, load_case
from benchmarks.records import Machine, Record
from benchmarks.tables import summary


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.case is None:
        sys.stdout.write("".join(f"{name:10} {load_case(name).summary}\n" for name in case_names()))
        return
    bench = Bench(
        options.data,
        tuple(range(options.seeds)),
        options.quick,
        options.n_jobs,
        options.fd_python,
        options.fd_seeds,
        tuple(options.only),
    )
    try:
        base = [Record.load(path) for path in options.base]
        out = options.out or Path("results") / f"{options.case}.json"
        record = run(load_case(options.case), bench, out, base)
    except FileNotFoundError as error:
        sys.exit(f"{error}; --data names the folder of the tables, see benchmarks/README.md")
    sys.stdout.write(summary(record, markdown=options.markdown))


def run(case: Case, bench: Bench, out: Path, base: Iterable[Record] = ()) -> Record:
    """Measure; the record on disk is complete after every measurement, so a run cut short is not lost.

    ``base``: what was measured before; of the same method, table and seed the last counts. When these runs started is
    among the settings.
    """
    started, base = datetime.now(UTC).isoformat(timespec="seconds"), tuple(base)
    settings = asdict(bench) | {"base": [t for own in base for t in (*own.settings.get("base", ()), own.started)]}
    record = Record(case.name, started, settings, Machine.here(), case.quantities, case.comparisons, case.targets)
    found = {(m.table, m.method, m.seed): m for own in base for m in own.measurements}
    record = replace(record, measurements=tuple(found.values()))
    if base:  # joined, even where no seed is measured
        record.save(out)
    for measurement in case.measure(bench):
        found[measurement.table, measurement.method, measurement.seed] = measurement
        record = replace(record, measurements=tuple(found.values()))
        record.save(out)
        values = ", ".join(f"{name} {value:.4g}" for name, value in measurement.values.items())
        where = f"{measurement.table}, " if measurement.table else ""
        sys.stderr.write(f"{where}{measurement.method}, seed {measurement.seed}: {values}\n")
    return record


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("case", nargs="?", choices=case_names(), help="without one, the cases are listed")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=3, help="number of repetitions")
    parser.add_argument("--out", type=Path, help="record to write, results/CASE.json by default")
    parser.add_argument("--only", nargs="+", default=[], help="methods or tables to measure, all by default")
    parser.add_argument("--base", nargs="+", type=Path, default=[], help="records whose other measurements are kept")
    parser.add_argument("--quick", action="store_true", help="tiny settings: only shows that it runs")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--n-jobs", type=int, default=cpu_count(), help="processes for training")
    parser.add_argument("--fd-python", type=Path, help="Python of an environment with ForestDiffusion")
    parser.add_argument("--fd-seeds", type=int, help="repetitions with ForestDiffusion, all by default")
    return parser


if __name__ == "__main__":
    main()
