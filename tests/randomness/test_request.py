"""Requests: batches and choices are the same events."""

from dataclasses import replace

import numpy as np
import pytest

from buff.flows import SampleRequest

CONDITION = np.arange(10, dtype=np.float32)[:, None]


def numbers(request, d=3):
    return request.noise().normal(request.n, d)


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_batches_are_the_events_in_order(size):
    request = SampleRequest(10, 7, first_event=5, condition=CONDITION, batch_size=size)
    batches = list(request.batches())
    assert np.array_equal(np.concatenate([numbers(batch) for batch in batches]), numbers(request))
    assert np.array_equal(np.concatenate([batch.condition for batch in batches]), CONDITION)
    assert [part.n for part in request.map(lambda batch: batch)] == [batch.n for batch in batches]


def test_one_row_holds_for_all_events():
    batches = list(SampleRequest(5, 7, condition=CONDITION[:1], source=CONDITION[1:2], batch_size=2).batches())
    assert [batch.condition.shape for batch in batches] == [(2, 1), (2, 1), (1, 1)]
    assert all((batch.source == 1).all() for batch in batches)


def test_chosen_events_keep_their_numbers_in_any_batch():
    request, rows = SampleRequest(10, 7, first_event=5, condition=CONDITION), np.array([1, 4, 9])
    chosen = request.choose(rows)
    assert np.array_equal(numbers(chosen), numbers(request)[rows])
    assert chosen.condition.ravel().tolist() == [1, 4, 9]
    parts = replace(chosen, batch_size=2).batches()
    assert np.array_equal(np.concatenate([numbers(part) for part in parts]), numbers(chosen))


def test_streams_are_independent():
    n = SampleRequest(4000, 7)
    correlation = np.corrcoef(numbers(n, 1).ravel(), numbers(replace(n, stream=100), 1).ravel())[0, 1]
    assert abs(correlation) < 0.05


def test_nothing_to_draw_has_no_batches():
    assert list(SampleRequest(0, 7).batches()) == []


@pytest.mark.parametrize("part", ["condition", "source"])
def test_rows_must_be_one_or_as_many_as_events(part):
    with pytest.raises(ValueError, match=f"{part} must have one row, or one for each of 5 events"):
        SampleRequest(5, 7, **{part: CONDITION})
