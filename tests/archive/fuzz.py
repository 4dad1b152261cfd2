"""Change bytes of small files at random: ``python -m tests.archive.fuzz --out record.json`` counts the refused.

Files of models are changed as they are, or members get sizes and digests that agree, so that what checks their content
is met. Files of tables have no digests: other numbers are read from some of those that were changed.
"""

import argparse
import io
import json
import signal
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from buff import BUFF, BUFFImputer, BUFFTransport, JetBUFF, ShowerBUFF, TreeDensity, Unfolder, load
from buff.datasets import make_showers
from buff.errors import ArchiveError
from buff.io import TableWriter, read_table
from buff.unfolding import UnfoldingResult
from tests.archive.members import members_of, pack
from tests.physics.clouds import clouds

QUICK = {"n_steps": 4, "n_estimators": 3, "noise_budget": 1000, "random_state": 0}


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    x[:, 1] = np.round(x[:, 1], 1)
    return BUFF(**QUICK).fit(x, condition=np.where(x[:, 0] > 0, "a", "b"))


def related():
    """Ids, sums, orders, lookups, an angle, missing values and a spike."""
    rng = np.random.default_rng(0)
    n, low = 300, rng.exponential(size=300)
    cities = pd.Series(rng.choice(["Bonn", "Paris", "Lyon"], n))
    frame = pd.DataFrame({"key": [f"run-{i:04d}" for i in rng.permutation(n)], "low": low, "city": cities})
    frame["high"] = low + rng.exponential(size=n)
    frame["country"] = cities.map({"Bonn": "DE", "Paris": "FR", "Lyon": "FR"})
    frame["phi"] = rng.uniform(-3.1, 3.1, n)
    frame["sum"] = frame["low"] + frame["high"]
    frame["gap"] = np.where(rng.random(n) < 0.3, np.nan, np.where(rng.random(n) < 0.3, 0, rng.normal(size=n)))
    return BUFF(**QUICK, schema={"phi": "angle"}).fit(frame)


def transport():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    return BUFFTransport(**QUICK).fit(x, x + 1)


def jets():
    return JetBUFF(n_steps=3, effort=0.01, jet_model=BUFF(**QUICK), random_state=0).fit(clouds(200, 6, seed=3))


def showers():
    data = make_showers(300, "ds1-photons", random_state=1)
    fast = {"rings": {"n_estimators": 3}, "angles": {"n_estimators": 3, "max_depth": 3}, "random_state": 0}
    return ShowerBUFF(**fast).fit(data.showers, data.incident_energies)


def unfolder():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    how = {"n_samples": 3, "n_iterations": 1, "classifier": {"n_estimators": 3}, "random_state": 0}
    return Unfolder(generator=BUFF(**QUICK), **how).fit(x, x[:, :2] + 0.3 * rng.normal(size=(300, 2)))


def result():
    x = np.random.default_rng(2).normal(size=(60, 2))
    return unfolder().unfold(x, n_replicas={"data": 2}, n_iterations=2)


def rows_with_gaps():
    x = np.random.default_rng(0).normal(size=(300, 3))
    x[:, 1], x[:, 2] = np.round(x[:, 1], 1), x[:, 0] + x[:, 2]
    x[::7, 0] = np.nan
    return x


def any_given():
    return BUFF(**QUICK, given="any").fit(rows_with_gaps())


def imputer():
    return BUFFImputer(n_estimators=3, random_state=0).fit(rows_with_gaps())


def density():
    return TreeDensity(n_estimators=3, random_state=0).fit(rows_with_gaps())


def network():
    from buff_baselines import NeuralFlow

    how = {"hidden": (8,), "n_iterations": 20, "batch_size": 64, "device": "cpu", "random_state": 0}
    return NeuralFlow(**how).fit(np.random.default_rng(0).normal(size=(300, 2)))


KINDS = {"table": table, "related": related, "transport": transport, "jets": jets, "showers": showers}
KINDS |= {
    "unfolder": unfolder,
    "result": result,
    "any given": any_given,
    "imputer": imputer,
    "density": density,
    "network": network,
}
HOW = ("whole", "repaired")
#: Suffixes of the files of tables, a format each.
TABLES = ("csv", "csv.gz", "tsv", "parquet", "feather", "h5", "npz", "root", "npy")
#: Seconds after which a file counts as one that hangs.
LIMIT = 60


def events(model):
    """What a model draws, as bytes that can be compared."""
    if isinstance(model, BUFFTransport):
        return model.transform(np.zeros((20, 2))).tobytes()
    if isinstance(model, ShowerBUFF):
        return model.sample(np.full(5, 5000.0)).tobytes()
    if isinstance(model, UnfoldingResult):
        return model.events.tobytes() + model.weights.tobytes() + repr(model).encode()
    if isinstance(model, Unfolder):
        return model.unfold(np.random.default_rng(1).normal(size=(20, 2))).events.tobytes()
    if isinstance(model, BUFFImputer):
        return model.transform(rows_with_gaps()[:20]).tobytes()
    if isinstance(model, TreeDensity):
        return model.sample(20).tobytes() + model.score_samples(np.zeros((20, 3))).tobytes()
    if getattr(model, "given", None) == "any":
        return model.sample(given=rows_with_gaps()[:20]).tobytes()
    drawn = model.sample(20)
    return drawn.to_csv().encode() if isinstance(drawn, pd.DataFrame) else np.asarray(drawn).tobytes()


def mutated(content, rng):
    changed = bytearray(content)
    for place in rng.integers(len(changed), size=rng.integers(1, 4)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def with_a_member_changed(whole, rng):
    members, name = dict(whole), rng.choice([key for key in whole if key != "manifest.json"])
    members[name] = mutated(members[name], rng)
    buffer = io.BytesIO()
    pack(buffer, members)
    return buffer.getvalue()


def refused(kind, how, n, folder):
    """Number of changed files that are refused; AssertionError where one gives other events without a word."""
    rng, path = np.random.default_rng(0), Path(folder, f"{kind}.buff")
    KINDS[kind]().save(path)
    raw, expected, count = path.read_bytes(), events(load(path)), 0
    whole = members_of(path)
    for number in range(n):
        path.write_bytes(mutated(raw, rng) if how == "whole" else with_a_member_changed(whole, rng))
        signal.alarm(LIMIT)
        try:
            drawn = events(load(path))
        except ArchiveError:
            count += 1
        except ValueError:  # numbers that are possible, and lead beyond the largest
            assert how == "repaired", number
            count += 1
        except Exception as error:
            raise AssertionError(f"{kind}, {how}, mutation {number}: {error!r}") from error
        else:
            assert how == "repaired" or drawn == expected, number
        signal.alarm(0)
    return count


def refused_tables(suffix, n, folder):
    """Number of changed files of a table that are refused; any other error than the one that is documented is raised."""
    rng, path, count = np.random.default_rng(0), Path(folder, f"table.{suffix}"), 0
    x = rng.normal(size=40)
    table = pd.DataFrame({"x": x, "n": np.arange(40), "gap": np.where(x < 0, np.nan, np.round(x, 1))})
    if suffix in ("csv", "csv.gz", "tsv", "parquet", "feather"):
        table = table.assign(word=rng.choice(["a", "bc"], 40), day=np.datetime64("2020-01-01") + np.arange(40))
    if suffix == "npy":
        np.save(path, table.to_numpy())
    else:
        with TableWriter(path) as writer:
            writer.write(table)
    raw = path.read_bytes()
    for number in range(n):
        path.write_bytes(mutated(raw, rng))
        signal.alarm(LIMIT)
        try:
            read_table(path)
        except (ValueError, MemoryError):
            count += 1
        except Exception as error:
            raise AssertionError(f"{suffix}, mutation {number}: {error!r}") from error
        signal.alarm(0)
    return count


def main():
    """Print the number of refused files of each kind, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=[*KINDS, *TABLES], choices=[*KINDS, *TABLES])
    parser.add_argument("--how", nargs="+", default=list(HOW), choices=HOW)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    chosen, counts = parser.parse_args(), {}
    warnings.simplefilter("ignore")
    for kind in chosen.kinds:
        for how in ("whole",) if kind in TABLES else chosen.how:
            with tempfile.TemporaryDirectory() as folder:
                own = (chosen.number, folder)
                found = refused_tables(kind, *own) if kind in TABLES else refused(kind, how, *own)
            counts[f"{kind}, {how}"] = {"changed": chosen.number, "refused": found}
            print(f"{kind}, {how}: {found} of {chosen.number} refused", flush=True)
            if chosen.out:
                chosen.out.write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
