import os
import shutil
import subprocess

import numpy as np
import pytest

from buff import BUFF, BUFFTransport, JetBUFF, Unfolder, load
from buff.cli import app
from buff.errors import ExportError
from buff.export import export_model, graph_inputs
from tests.small_models import DEFAULT, DEFAULTS, MODELS, asked

COMPILER = next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-w"]


@pytest.fixture(scope="module")
def example(fitted, tmp_path_factory):
    """The example, compiled once: models are files."""
    folder = tmp_path_factory.mktemp("cpp")
    export_model(fitted("plain"), folder)
    subprocess.run(
        [COMPILER, *FLAGS, "-I", str(folder / "include"), str(folder / "example.cpp"), "-o", str(folder / "example")],
        check=True,
    )
    return folder / "example"


def codes(sampler, condition):
    return [] if condition is None else [repr(float(x)) for x in sampler._condition(condition)]


@pytest.mark.parametrize("name", [*MODELS, *DEFAULTS])
def test_events_of_cpp_are_those_of_python(fitted, example, tmp_path, name):
    model = fitted(name)
    export_model(model, tmp_path)
    sampler = model.sampler(random_state=2**40 + 5)
    for condition, _ in asked(name):
        command = [example, tmp_path / "model.bin", str(2**40 + 5), "3", "9", *codes(sampler, condition)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        drawn = np.array([[float(word) for word in line.split()] for line in text.splitlines()])
        np.testing.assert_allclose(drawn, [sampler.draw(i, condition) for i in range(3, 12)], rtol=1e-12)


@pytest.mark.parametrize("how", [{}, {"noise": 0.0}, {"noise": 0.5, "solver": "heun"}])
def test_targets_of_rows_are_those_of_a_transport(example, tmp_path, how):
    rng = np.random.default_rng(3)
    truth = np.column_stack([rng.normal(size=900), rng.exponential(size=900)])
    reco, side = truth + 0.4 * rng.normal(size=truth.shape), rng.normal(size=900)
    model = BUFFTransport(**DEFAULT | how).fit(reco, truth, condition=side)
    export_model(model, tmp_path)
    drawn = model.sample(reco[:4], 3, condition=side[:4], random_state=7)
    for i in range(12):
        given = [repr(float(x)) for x in (*reco[i // 3], side[i // 3])]
        command = [example, tmp_path / "model.bin", "7", str(i), "1", *given]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        np.testing.assert_allclose([float(word) for word in text.split()], drawn[i], rtol=1e-12)
    assert "| 1 | x1 |" in (tmp_path / "README.md").read_text()


def test_what_only_graphs_hold_is_named(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 2))
    model = BUFFTransport(**DEFAULT, coupling="transport").fit(x, x + 1)
    with pytest.raises(ExportError, match="coupling='transport'.*ONNX"):
        export_model(model, tmp_path)
    with pytest.raises(ExportError, match="Unfolder cannot be exported"):
        export_model(Unfolder(), tmp_path)
    bridge = Unfolder("bridge", generator=BUFFTransport(**DEFAULT), random_state=0).fit(x, x + 1)
    with pytest.raises(ExportError, match="method='bridge'.*only Unfolder.method='conditional'. can: ONNX"):
        export_model(bridge, tmp_path)


@pytest.mark.parametrize("format", ["cpp", "onnx"])
def test_what_no_format_holds_is_said_at_once(tmp_path, format):
    x = np.random.default_rng(0).normal(size=(300, 2))
    weighting = Unfolder("reweight", n_iterations=1, random_state=0).fit(x, x + 1)
    if format == "onnx":
        pytest.importorskip("onnx")
    with pytest.raises(
        ExportError, match="'reweight'.*neither C[+][+] nor ONNX.*'conditional'. can be exported to both"
    ):
        export_model(weighting, tmp_path, format)
    with pytest.raises(ExportError, match="JetBUFF is used from Python only"):
        export_model(JetBUFF(), tmp_path, format)


def test_posteriors_are_those_of_the_unfolder(example, tmp_path):
    rng = np.random.default_rng(3)
    truth = np.column_stack([rng.normal(size=1200), rng.exponential(size=1200)])
    reco = truth + 0.4 * rng.normal(size=truth.shape)
    reco[:, 1] = np.round(np.abs(reco[:, 1]), 1)
    model = Unfolder("conditional", generator=BUFF(**DEFAULT), random_state=0).fit(truth, reco)
    export_model(model, tmp_path)
    drawn = np.asarray(model.sample(reco[:5], 4, random_state=7)).reshape(20, 2)
    command = [example, tmp_path / "model.bin", "7"]
    events = [
        subprocess.run(
            [*command, str(i), "1", *map(repr, reco[i // 4].tolist())], check=True, capture_output=True, text=True
        ).stdout
        for i in range(20)
    ]
    np.testing.assert_allclose([[float(x) for x in event.split()] for event in events], drawn, rtol=1e-5, atol=1e-5)


def test_damaged_models_are_refused(fitted, example, tmp_path):
    export_model(fitted("plain"), tmp_path)
    raw = (tmp_path / "model.bin").read_bytes()
    for k, broken in enumerate((b"", raw[:100], raw[:-1], raw + b"x", b"x" + raw[1:])):
        path = tmp_path / f"{k}.bin"
        path.write_bytes(broken)
        result = subprocess.run([example, path, "0", "0", "1"], capture_output=True, text=True)
        assert result.returncode == 1
        assert "damaged model" in result.stderr


def test_command_writes_what_builds(fitted, tmp_path):
    from typer.testing import CliRunner

    fitted("labels").save(tmp_path / "model.buff")
    out = CliRunner().invoke(app, ["export", str(tmp_path / "model.buff"), "-o", str(tmp_path / "cpp")])
    assert out.exit_code == 0, out.output
    assert {p.name for p in (tmp_path / "cpp").iterdir()} == {
        "include",
        "model.bin",
        "example.cpp",
        "CMakeLists.txt",
        "README.md",
    }
    assert "0: g, 1: q, 2: t" in (tmp_path / "cpp" / "README.md").read_text()
    assert "a value for each column of the condition" in (tmp_path / "cpp" / "README.md").read_text()
    model = load(tmp_path / "model.buff")
    assert not any(os.path.islink(p) for p in (tmp_path / "cpp").rglob("*"))
    with pytest.raises(ValueError, match="cpp, onnx"):
        model.export(tmp_path, "fortran")
    with pytest.raises(ExportError, match="str cannot be exported"):
        export_model("model", tmp_path)


HOST = """
#include <buff/sampler.hpp>
#include <cstdio>
int main(int, char** argv) {
    const buff::Sampler sampler = buff::Sampler::from_file(argv[1]);
    buff::Workspace work(sampler);
    std::vector<float> normals(sampler.n_normals());
    std::vector<double> event(sampler.columns().size()), condition(1, 0.0);
    const double* given = sampler.conditions().empty() ? nullptr : condition.data();
    while (std::fread(normals.data(), sizeof(float), normals.size(), stdin) == normals.size()) {
        sampler.draw_from(normals.data(), given, event.data(), work);
        std::fwrite(event.data(), sizeof(double), event.size(), stdout);
    }
}
"""


def test_events_from_numbers_of_the_host(fitted, example, tmp_path):
    (tmp_path / "host.cpp").write_text(HOST)
    program = tmp_path / "host"
    subprocess.run(
        [COMPILER, *FLAGS, "-I", str(example.parent / "include"), str(tmp_path / "host.cpp"), "-o", str(program)],
        check=True,
    )
    for name in ("default", "default_smooth", "default_labels"):
        model = fitted(name)
        export_model(model, tmp_path / name)
        sampler = model.sampler(7)
        condition = "e" if sampler.condition_names else None
        inputs = graph_inputs(model, 20, 7, condition=condition)
        normals = np.column_stack([inputs[key] for key in ("pattern", "noise") if key in inputs]).astype(np.float32)
        raw = subprocess.run(
            [program, tmp_path / name / "model.bin"], input=normals.tobytes(), check=True, capture_output=True
        ).stdout
        events = np.frombuffer(raw).reshape(20, -1)
        expected = [sampler.draw(i, condition) for i in range(20)]
        np.testing.assert_allclose(events, expected, rtol=1e-12)
