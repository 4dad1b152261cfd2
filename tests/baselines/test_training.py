"""The loop: resumed training is the same training, averages are averages, the best network is kept."""

import math

import pytest

torch = pytest.importorskip("torch")

from buff_baselines.training import Rows, Trainer, TrainingSettings  # noqa: E402

X = torch.linspace(-1, 1, 64)[:, None]


def squares(network, rows, rng):
    noise = 0.1 * torch.randn(len(rows), 1, generator=rng)
    return (network(X[rows]) - 3 * X[rows] - noise).square().mean(1)


def trainer(**options):
    torch.manual_seed(0)
    settings = TrainingSettings(
        **{"n_iterations": 60, "batch_size": 16, "learning_rate": 0.05, "check_every": 20} | options
    )
    return Trainer(torch.nn.Linear(1, 1), squares, Rows.split(64, 0.25, 0), settings)


def state(t):
    return torch.cat([p.detach().ravel() for p in t.averaged.parameters()])


def test_it_learns():
    t = trainer(n_iterations=400, ema=0.9)
    records = list(t.steps())
    assert records[-1].loss < records[0].loss
    assert float(t.averaged.weight) == pytest.approx(3, abs=0.1)
    assert [r.iteration for r in records] == list(range(20, 401, 20))


def test_an_interrupted_training_is_the_same_training(tmp_path):
    whole = trainer()
    list(whole.steps())
    first = trainer(checkpoint=tmp_path / "half.pt")
    next(first.steps())  # 20 iterations, then the process dies
    second = trainer(checkpoint=tmp_path / "half.pt")
    records = list(second.steps())
    assert [r.iteration for r in records] == [40, 60]
    assert torch.equal(state(second), state(whole))


def test_a_resumed_training_remembers_all_of_it(tmp_path):
    next(trainer(checkpoint=tmp_path / "half.pt").steps())
    again = trainer(checkpoint=tmp_path / "half.pt")
    list(again.steps())
    assert [r.iteration for r in again.history] == [20, 40, 60]


@pytest.mark.parametrize("changed", [{"learning_rate": 0.1}, {"seed": 1}, {"problem": "other rows"}])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, changed):
    next(trainer(checkpoint=tmp_path / "half.pt").steps())
    with pytest.raises(ValueError, match="another training"):
        next(trainer(checkpoint=tmp_path / "half.pt", **changed).steps())


def test_the_average_follows_its_formula():
    t = trainer(n_iterations=1, ema=0.999, check_every=1)
    start = state(t)
    list(t.steps())
    now = torch.cat([p.detach().ravel() for p in t.network.parameters()])
    decay = 2 / 11
    assert torch.allclose(state(t), decay * start + (1 - decay) * now)


def test_early_stopping_keeps_the_best():
    t = trainer(n_iterations=3000, early_stopping=3, learning_rate=0.3, ema=0.0)
    records = list(t.steps())
    assert records[-1].iteration < 3000
    best = min(r.held_out for r in records)
    rng = torch.Generator().manual_seed(t.settings.seed + 1)
    assert float(squares(t.averaged, t.rows.held_out, rng).mean()) == pytest.approx(best)


def test_time_ends_training():
    t = trainer(n_iterations=10**6, max_seconds=0.05)
    assert list(t.steps())[-1].iteration < 10**6
    assert t._rate() == pytest.approx(0, abs=1e-6)


def test_without_rows_left_out_there_is_no_held_out_loss():
    t = Trainer(torch.nn.Linear(1, 1), squares, Rows.split(64, 0.0, 0), TrainingSettings(n_iterations=2))
    assert list(t.steps())[-1].held_out is None


def test_a_loss_that_is_no_number_stops_with_advice():
    bad = Trainer(
        torch.nn.Linear(1, 1), lambda n, r, g: n(X[r])[:, 0] * math.nan, Rows.split(64, 0, 0), TrainingSettings()
    )
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        list(bad.steps())


def test_weights_choose_rows():
    weights = (torch.arange(64) < 8).double().numpy()
    rows = Rows.split(64, 0.25, 0, weights)
    assert int(rows.batch(500, torch.Generator().manual_seed(0)).max()) < 8
    assert len(rows.held_out) == 2
    assert int(rows.held_out.max()) < 8


def test_held_out_losses_are_weighted():
    weights = torch.arange(1, 65).double()
    rows = Rows.split(64, 0.25, 0, weights.numpy())
    losses = torch.linspace(0, 1, 16).double()
    kept = weights[rows.held_out]
    assert rows.mean(losses) == pytest.approx(float((kept * losses).sum() / kept.sum()))


def test_few_rows_leave_one_out():
    assert [len(part) for part in (Rows.split(3, 0.1, 0).train, Rows.split(3, 0.1, 0).held_out)] == [2, 1]


def test_half_the_bits_learn_too():
    t = trainer(n_iterations=200, ema=0.9, bf16=True)
    list(t.steps())
    assert float(t.averaged.weight) == pytest.approx(3, abs=0.2)
    assert t.averaged.weight.dtype == torch.float32


@pytest.mark.slow
def test_a_compiled_network_is_the_same_network(monkeypatch):
    """Traced, and run without a compiler of its own, which not every machine has."""
    compiled = []
    trace = torch.compile

    def compiling(network):
        compiled.append(network)
        return trace(network, backend="eager")

    monkeypatch.setattr(torch, "compile", compiling)
    plain, traced = trainer(), trainer(compile=True)
    for t in (plain, traced):
        list(t.steps())
    assert compiled == [traced.network]
    torch.testing.assert_close(state(traced), state(plain))


def test_checkpoints_make_their_folder_and_refuse_other_files(tmp_path):
    next(trainer(checkpoint=tmp_path / "new" / "c.pt").steps())
    assert (tmp_path / "new" / "c.pt").exists()
    (tmp_path / "bad.pt").write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"bad.pt is no checkpoint, or cut short: remove it"):
        next(trainer(checkpoint=tmp_path / "bad.pt").steps())
    whole = (tmp_path / "new" / "c.pt").read_bytes()
    (tmp_path / "bad.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="no checkpoint, or cut short"):
        next(trainer(checkpoint=tmp_path / "bad.pt").steps())
