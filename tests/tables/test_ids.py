import json
import re
import uuid

import numpy as np
import pytest

from buff.errors import ArchiveError
from buff.tables.ids import IdPattern, looks_like_ids

RNG = np.random.default_rng(0)
N = 1000
NAMES = ["anna", "bernd", "carla", "dieter", "emilia", "fritz"]
IDS = {
    "monotone": (np.arange(1, N + 1), r"\d+"),
    "scattered": (RNG.choice(900_000, N, replace=False) + 100_000, r"\d{6}"),
    "zero padded": (np.array([f"{i:07d}" for i in RNG.choice(10**7, N, replace=False)], object), r"\d{7}"),
    "numbered": (np.array([f"INV-{i:05d}" for i in range(N)], object), r"INV-\d{5}"),
    "uuid": (
        np.array([str(uuid.UUID(int=int.from_bytes(RNG.bytes(16), "big"), version=4)) for _ in range(N)], object),
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ),
    "e-mail": (
        np.array([f"{RNG.choice(NAMES)}.{i:04d}@cern.ch" for i in range(N)][::-1], object),
        r"[a-z]+\.\d{4,}@cern\.ch",
    ),
}


@pytest.mark.parametrize(("values", "pattern"), IDS.values(), ids=IDS)
def test_fresh_ids_are_new_unique_and_of_the_same_pattern(values, pattern):
    ids = IdPattern.from_dict(json.loads(json.dumps(IdPattern.of(values).to_dict())))
    fresh = ids.fresh(5000, seed=3)
    assert fresh.dtype == values.dtype
    assert len(set(fresh.tolist())) == 5000
    assert not set(fresh.tolist()) & set(values.tolist())
    matching = np.mean([re.fullmatch(pattern, str(value)) is not None for value in fresh[:200]])
    assert matching == 1


@pytest.mark.parametrize(("values", "pattern"), IDS.values(), ids=IDS)
def test_the_id_of_an_event_does_not_depend_on_the_others(values, pattern):
    ids = IdPattern.of(values)
    assert ids.fresh(100, seed=1)[40:].tolist() == ids.fresh(60, 40, seed=1).tolist()


@pytest.mark.parametrize("name", ["scattered", "zero padded", "uuid", "e-mail"])
def test_files_hold_no_id_of_the_training(name):
    values = IDS[name][0]
    kept = json.dumps(IdPattern.of(values).to_dict())
    assert not [value for value in values.tolist() if str(value) in kept]


def test_the_share_of_missing_ids_is_kept():
    values = np.array([f"u{i:04d}" if i % 4 else None for i in range(400)], object)
    fresh = IdPattern.of(values).fresh(4000, seed=0)
    assert abs(np.mean([value is None for value in fresh]) - 0.25) < 0.03


def test_a_used_up_pattern_gets_longer_instead_of_repeating():
    ids = IdPattern.of(np.array(["7", "3", "9", "1"], object))
    fresh = ids.fresh(500, seed=0).tolist()
    assert len(set(fresh)) == 500
    assert not {"7", "3", "9", "1"} & set(fresh)


def test_numbers_with_fractions_and_dates_are_no_ids():
    for values in (np.array([0.5, 1.0]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match="ids must be integers or text"):
            IdPattern.of(values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.arange(7, 107), "rises in every one of 100 rows"),
        (np.arange(7, 207, 2), "rises in every one of 100 rows"),
        (np.arange(7, 407, 4), ""),
        (RNG.permutation(100), "has another number in each of 100 rows, where those of a distribution would repeat,"),
        (RNG.permutation(40), ""),
        (np.append(np.arange(99), 5), ""),
        (np.arange(100.0), ""),
        (np.arange(10), ""),
        (np.array([f"a{i}" for i in range(60)] + ["b"] * 40, object), "has 61 different texts in 100 rows"),
        (np.array([f"a{i}" for i in range(30)] + ["b"] * 70, object), ""),
        (np.array([True, False] * 50, object), ""),
        (np.array([None] * 100, object), ""),
    ],
)
def test_what_looks_like_ids(values, why):
    assert looks_like_ids(values) == why


def test_ids_keep_their_width_where_it_has_room():
    rng = np.random.default_rng(0)
    ids = np.array([f"P{100000 + i}" for i in rng.permutation(4000)], object)
    fresh = IdPattern.of(ids).fresh(5000, seed=0)
    assert {len(text) for text in fresh} == {7}
    assert len({*fresh, *ids}) == 9000


def test_two_numbers_go_on_and_so_do_values_of_a_single_place():
    pattern = IdPattern.of(np.array(["run-01", "run-02"], object))
    assert pattern.fresh(2, seed=0).tolist() == ["run-03", "run-04"]


COUNTER = json.loads(json.dumps(IdPattern.of(np.array(["run-007", "run-008", "run-015"], object)).to_dict()))
SHAPED = json.loads(json.dumps(IdPattern.of(np.array([a + b for a in "abcdef" for b in "xyzuvw"], object)).to_dict()))


@pytest.mark.parametrize(
    ("record", "change"),
    [
        (COUNTER, {"counter": ["a", 10, "x", "b"]}),
        (COUNTER, {"counter": ["a", 10**9, 1, "b"]}),
        (COUNTER, {"dtype": "<i8"}),
        (COUNTER, {"missing": "no"}),
        (SHAPED, {"cumulative": []}),
        (SHAPED, {"shapes": [{"alphabets": ["ab"], "modulus": 0, "residue": 0}]}),
        (SHAPED, {"shapes": [{"alphabets": ["a", ""], "modulus": 1, "residue": 0}]}),
        (SHAPED, {"shapes": [{"alphabets": [], "modulus": 1, "residue": 0}]}),
        (SHAPED, {"dtype": "<i8"}),
    ],
)
def test_patterns_of_damaged_files_are_refused(record, change):
    assert IdPattern.from_dict(record).fresh(2, seed=0).dtype == object
    with pytest.raises(ArchiveError):
        IdPattern.from_dict({**record, **change})


def test_a_column_of_missing_ids_comes_back_missing():
    ids = IdPattern.from_dict(IdPattern.of(np.array([None, None], object)).to_dict())
    assert ids.fresh(3, seed=0).tolist() == [None] * 3


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_fresh_numbers_stay_within_their_type(dtype):
    most = np.iinfo(dtype).max
    seen = np.random.default_rng(0).integers(most // 2, most, 300, dtype=dtype, endpoint=True)
    ids = IdPattern.of(seen).fresh(5000, seed=1)
    assert ids.dtype == dtype
    assert len(set(ids.tolist())) == 5000
    assert not set(ids.tolist()) & set(seen.tolist())


def test_numbers_that_rise_end_with_their_type():
    pattern = IdPattern.of(np.arange(200, dtype=np.uint8))
    assert pattern.fresh(56, seed=0).tolist() == list(range(200, 256))
    with pytest.raises(ValueError, match="column 'row': new ids go beyond uint8: make it int64 before the fit"):
        pattern.fresh(57, seed=0, column="row")
