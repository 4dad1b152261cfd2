"""The file of a result: the same figures and covariances without a fit, and nothing else than what was written."""

import numpy as np
import pandas as pd
import pytest

import buff
from buff.errors import ArchiveError
from buff.unfolding import UnfoldingResult
from tests.archive.members import members_of, pack
from tests.unfolding.test_membership import spiked
from tests.unfolding.test_stored import fitted, one_of_each, saying
from tests.unfolding.toys import Detector, quick

EDGES = [-2.0, 0.0, 1.0, 3.0]


def unfolded(method="iterated", **options):
    measured, background = (Detector(mean=0.3).events(n, seed)[1] for n, seed in ((200, 1), (40, 2)))
    measured, background = (x[~np.isnan(x[:, 0])] for x in (measured, background))
    options = {"n_replicas": {"data": 6, "simulation": 2, "model": 2}} | options
    unfolder, other = fitted(method, **options), fitted(method, n=300)
    return unfolder.unfold(measured, background=(background, np.full(len(background), 0.2)), alternative=other)


def saved(result, path):
    result.save(path / "result.buff")
    return buff.load(path / "result.buff", UnfoldingResult)


@pytest.mark.parametrize("method", ["iterated", "reweight"])
def test_what_is_read_tells_and_draws_the_same(method, tmp_path):
    result = unfolded(method)
    back = saved(result, tmp_path)
    assert repr(back) == repr(result)
    np.testing.assert_array_equal(back.events, result.events)
    np.testing.assert_array_equal(back.measured_rows, result.measured_rows)
    one, other = result.covariance(0, EDGES), back.covariance(0, EDGES)
    assert list(one.of_source) == ["data", "simulation", "model", "alternative", "regularisation"]
    for source in one.of_source:
        np.testing.assert_array_equal(one.of_source[source], other.of_source[source])
    np.testing.assert_array_equal(one.counts, other.counts)
    pytest.importorskip("matplotlib")
    for drawing in ("plot_unfolded", "plot_refolded", "plot_migration"):
        pictures = [getattr(r, drawing)(0, EDGES) for r in (result, back)]
        lines = [[line.get_ydata() for line in picture.axes[0].lines] for picture in pictures]
        for mine, yours in zip(*lines, strict=True):
            np.testing.assert_array_equal(mine, yours)
    result.to_yaml(tmp_path / "one", {"x0": EDGES})
    back.to_yaml(tmp_path / "other", {"x0": EDGES})
    for file in (tmp_path / "one").iterdir():
        assert file.read_text() == (tmp_path / "other" / file.name).read_text()


def test_frames_with_text_and_weights_of_both_signs(tmp_path):
    rng = np.random.default_rng(0)
    n = 600
    truth = pd.DataFrame({"x": rng.normal(size=n), "kind": rng.choice(["b", "light"], n)})
    reco = pd.DataFrame({"x": truth.x + 0.2 * rng.normal(size=n), "n": rng.poisson(3, n)})
    weights = np.where(rng.random(n) < 0.1, -1.0, 1.0)
    unfolder = quick("reweight", n_iterations=1, negative_weights="cancel").fit(truth, reco, sample_weight=weights)
    result = unfolder.unfold(reco[:100], sample_weight=weights[:100])
    back = saved(result, tmp_path)
    pd.testing.assert_frame_equal(back.events, result.events)
    np.testing.assert_array_equal(back.histogram("x", 5).variances(), result.histogram("x", 5).variances())
    back.save(tmp_path / "again.buff")
    assert (tmp_path / "again.buff").read_bytes() == (tmp_path / "result.buff").read_bytes()


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("members") / "result.buff"
    unfolded(n_replicas={"data": 2, "model": 2}).save(path)
    return members_of(path)


def test_what_lacks_a_part_is_refused(members, tmp_path):
    optional = {
        "arrays/result/refolded.npy",
        "arrays/result/further.npy",
        "arrays/replicas/0/replica/measured_rows.npy",
    }
    names = {name for name in one_of_each(members) if "measured_rows" not in name} - optional
    assert len(names) > 20
    for name in names:
        pack(tmp_path / "result.buff", {key: content for key, content in members.items() if key != name})
        with pytest.raises(ArchiveError):
            buff.load(tmp_path / "result.buff")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("result", "method"), "other"),
        (("result", "negative_weights"), "other"),
        (("result", "history"), [[1, 2]]),
        (("events", "of"), "others"),
        (("events", "of"), "result"),
        (("replicas", "0", "replica", "source"), 3),
        (("replicas", "0", "replica", "source"), ""),
        (("replicas", "0", "events", "of"), "simulation"),
        (("diagnostics", "facts", "signal"), -1),
        (("diagnostics", "facts", "moving"), [["x", "at 0", 1]]),
        (("diagnostics", "facts", "moving"), [["x", 0, 1, 2, 3]]),
        (("measured", "background", "n"), 10**9),
    ],
)
def test_records_that_say_something_else_are_refused(place, value, members, tmp_path):
    pack(tmp_path / "result.buff", saying(members, place, value))
    with pytest.raises(ArchiveError):
        buff.load(tmp_path / "result.buff")


def test_spikes_that_move_are_told_again(tmp_path):
    (truth, reco), (_, measured) = spiked(2000, 0.02, 0), spiked(1000, 0.1, 1)
    measured = measured.clip(0, reco.max())
    result = quick("reweight", n_iterations=1).fit(truth, reco).unfold(measured)
    assert result.diagnostics.moving
    assert str(saved(result, tmp_path).diagnostics) == str(result.diagnostics)


def test_a_damaged_file_is_refused(tmp_path):
    result = unfolded("reweight", n_replicas=0)
    result.save(tmp_path / "result.buff")
    content = bytearray((tmp_path / "result.buff").read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), bytes(content[:-100])):
        (tmp_path / "result.buff").write_bytes(damaged)
        with pytest.raises(ArchiveError):
            buff.load(tmp_path / "result.buff")
