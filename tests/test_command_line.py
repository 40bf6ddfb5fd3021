"""``python -m lstmcore``: each subcommand does what it says, and errors are one line."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstmcore import Input, Sequential, layers, models
from lstmcore.cli import bench, check, workers
from lstmcore.cli.main import main

X = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small trained model."""
    model = Sequential([Input((5, 3)), layers.LSTM(4), layers.Dense(2)], name="small")
    model.compile("adam", "mse")
    model.fit(X, np.ones((4, 2), np.float32), verbose=0)
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    model.save(path)
    return str(path)


def refused(capsys, *arguments):
    """What is said on stderr by a command line that fails."""
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"lstmcore: error: .+\n", err), err
    return err


# --- as a program ---


def test_the_program_prints_help_and_says_what_subcommands_there_are():
    def run(*arguments):
        environment = {**os.environ, "COLUMNS": "1", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "lstmcore", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)

    told = run("--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in ("info", "summary", "convert", "bench", "check"))
    assert "\x1b" not in told.stdout
    wrong = run("infos", "x")
    assert wrong.returncode == 2
    assert "'infos'" in wrong.stderr
    assert "summary" in wrong.stderr
    assert run("summary").returncode == 2


def test_a_pipe_that_is_closed_and_letters_it_has_not_are_no_tracebacks(file):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "lstmcore", "summary", file]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0
    assert "Total params: 138" in done.stdout
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


@pytest.mark.once
def test_a_stdout_that_is_closed_or_of_ascii_is_no_traceback(file):
    def run(command):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = f"{sys.executable} -m lstmcore {command}"
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=60)

    table = run(f"summary {file}")
    assert "+---" in table.stdout
    assert "?" not in table.stdout
    closed = run(f"summary {file} >&-")
    assert (closed.returncode, closed.stderr) == (0, "")


def test_every_error_is_one_line_that_says_something(monkeypatch, capsys):
    from lstmcore.cli import info

    for error, said in ((ValueError("a\n\n  b"), "a b"), (NotImplementedError(), "NotImplementedError")):
        monkeypatch.setattr(info, "show_config", lambda error=error: (_ for _ in ()).throw(error))
        assert refused(capsys, "info") == f"lstmcore: error: {said}\n"


# --- info ---


def test_info_is_also_what_there_is_without_a_subcommand(capsys):
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["info"]) == 0
    assert capsys.readouterr().out == alone
    assert "instruction set" in alone


# --- summary ---


def test_summary_prints_what_the_model_prints(file, capsys):
    models.load_model(file, compile=False).summary()
    expected = capsys.readouterr().out
    assert main(["summary", file]) == 0
    assert capsys.readouterr().out == expected


def test_files_that_hold_no_model_are_one_line(file, tmp_path, capsys):
    assert "no_such" in refused(capsys, "summary", str(tmp_path / "no_such.safetensors"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"12345678")
    assert "broken.safetensors" in refused(capsys, "summary", str(broken))
    assert "from_state_dict" in refused(capsys, "summary", "weights.pt")
    assert "without their weights" in refused(capsys, "convert", "model.json", str(tmp_path / "m.keras"))


def test_classes_of_the_users_come_with_an_import(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_layers.py").write_text(
        "from lstmcore import layers, utils\n"
        "@utils.register_keras_serializable('mine')\n"
        "class Doubled(layers.Layer):\n"
        "    def call(self, inputs): return inputs * 2\n"
    )
    monkeypatch.chdir(tmp_path)
    made = "import my_layers as m, lstmcore as k\nk.Sequential([k.Input((3,)), m.Doubled()]).save('own.safetensors')"
    subprocess.run([sys.executable, "-c", made], check=True, timeout=60)
    assert "Doubled" in refused(capsys, "summary", "own.safetensors")
    command = [sys.executable, "-m", "lstmcore", "summary", "own.safetensors", "--import", "my_layers"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Doubled" in done.stdout) == (0, True), done.stderr


# --- convert ---


def converted(source, target, *options):
    assert main(["convert", source, str(target), *options]) == 0
    return str(target)


def test_convert_keeps_outputs_and_training(file, tmp_path, capsys):
    copy = models.load_model(converted(file, tmp_path / "copy.safetensors"))
    assert "copy.safetensors" in capsys.readouterr().out
    np.testing.assert_array_equal(copy.predict(X, verbose=0), models.load_model(file).predict(X, verbose=0))
    assert copy.optimizer.iterations == 1
    without = converted(file, tmp_path / "light.safetensors", "--no-training")
    assert models.load_model(without).optimizer is None
    assert os.path.getsize(without) < os.path.getsize(file)
    described = converted(file, tmp_path / "m.json")
    assert models.model_from_json(Path(described).read_text()).count_params() == 138


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_convert_writes_files_of_keras(file, tmp_path, ending):
    pytest.importorskip("h5py")
    target = converted(file, tmp_path / f"m{ending}")
    if ending == ".weights.h5":
        model = models.load_model(file)
        model.set_weights([w * 0 for w in model.get_weights()])
        model.load_weights(target)
    else:
        model = models.load_model(converted(target, tmp_path / "back.safetensors"))
    np.testing.assert_array_equal(model.predict(X, verbose=0), models.load_model(file).predict(X, verbose=0))


def test_convert_writes_onnx_that_its_evaluator_runs(file, tmp_path):
    pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(converted(file, tmp_path / "m.onnx"))
    theirs = session.run(None, {session.input_names[0]: X})[0]
    np.testing.assert_allclose(theirs, models.load_model(file).predict(X, verbose=0), atol=1e-6)
    again = converted(str(tmp_path / "m.onnx"), tmp_path / "again.safetensors")
    np.testing.assert_allclose(models.load_model(again).predict(X, verbose=0), theirs, atol=1e-6)


def test_convert_writes_a_state_dict_that_pytorch_reads(file, tmp_path):
    torch = pytest.importorskip("torch")
    from lstmcore import to_torch

    state = torch.load(converted(file, tmp_path / "m.pt"), weights_only=True)
    module = to_torch(models.load_model(file))
    for values in module.state_dict().values():
        values.zero_()
    module.load_state_dict(state)
    ours = models.load_model(file).predict(X, verbose=0)
    np.testing.assert_allclose(module(torch.tensor(X)).detach(), ours, atol=1e-6)


def test_convert_refuses_unknown_formats_and_to_replace(file, tmp_path, capsys):
    said = refused(capsys, "convert", file, str(tmp_path / "m.tflite"))
    assert "OUT" in said
    assert ".keras" in said
    assert "--overwrite" in refused(capsys, "convert", file, file)
    if os.path.isdir("/proc/self"):  # where nobody can write
        assert "'/proc/m.safetensors'" in refused(capsys, "convert", file, "/proc/m.safetensors")
    before = Path(file).read_bytes()
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"old")
    converted(file, target, "--overwrite")
    assert len(target.read_bytes()) > 1000
    assert Path(file).read_bytes() == before


@pytest.mark.parametrize(("ending", "package"), [(".onnx", "onnx"), (".keras", "h5py"), (".pt", "torch")])
def test_a_package_that_is_missing_is_named_with_the_command(file, tmp_path, ending, package):
    program = (
        f"import sys; sys.modules[{package!r}] = None; from lstmcore.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "convert", file, str(tmp_path / f"m{ending}")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert re.search(r"pip install ['\"]lstmcore\[\w+\]", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / f"m{ending}").exists()


# --- check ---


def test_check_finds_this_installation_well(capsys):
    assert main(["check", "--this"]) == 0
    out = capsys.readouterr().out
    assert out.count(" ok ") == 8
    assert "FAILED" not in out


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_check_finds_what_is_wrong(monkeypatch, capsys, error):
    monkeypatch.setattr(check, "_difference", lambda ours, theirs: error)
    assert main(["check", "--this"]) == 1
    assert capsys.readouterr().out.count("FAILED") == 6


def test_a_wrong_number_is_a_difference():
    theirs = [np.array([1.0, 200.0])]
    assert check._difference([np.array([1.0, 202.0])], theirs) == pytest.approx(0.01)
    assert np.isnan(check._difference([np.array([np.nan, 200.0])], theirs))


# --- bench ---


@pytest.fixture
def measured(monkeypatch):
    """Times as if measured, of two libraries; the second has not all shapes."""
    times = {shape.name: 0.002 for shape in workers.SHAPES}
    some = {shape.name: 0.001 for shape in workers.SHAPES if not shape.train}
    found = {"lstmcore": {"version": "1", "seconds": times}, "torch": {"version": "2", "seconds": some}}
    monkeypatch.setattr(bench, "_measured", lambda name, *_: found.get(name))
    monkeypatch.setattr("lstmcore.cli.limits.fma_limit", lambda threads: 1e11)
    monkeypatch.setattr("lstmcore.cli.limits.read_limits", lambda: {"L1": 1e11})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def test_bench_prints_a_table_and_bars(measured, capsys):
    assert main(["bench"]) == 0
    out = capsys.readouterr().out
    text = next(block for block in out.split("\n\n") if block.startswith("text:"))
    # 2 * 32 * 100 * 4 * 256 * (128 + 256) operations in 2 ms are 1.26 TFLOP/s, of 0.1
    assert re.search(r"lstmcore +2\.000 ms +1258 % of the limit  █{24}$", text, re.M)
    assert re.search(r"torch +1\.000 ms +2517 % of the limit  █{12}$", text, re.M)
    assert out.count("lstmcore ") == 1 + len(workers.SHAPES)


@pytest.mark.once
def test_bars_are_bars_in_ascii_too(measured, monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["bench"]) == 0
    assert re.search(rb"% of the limit  #{24}$", stdout.buffer.getvalue(), re.M)


def test_bench_draws(measured, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "bench.svg"
    assert main(["bench", "--picture", str(file)]) == 0
    assert b"<svg" in file.read_bytes()[:1000]


def test_bench_refuses_pictures_before_it_measures(monkeypatch, tmp_path, capsys):
    assert ".png" in refused(capsys, "bench", "--picture", "bench.txt")
    assert "no directory" in refused(capsys, "bench", "--picture", str(tmp_path / "none" / "b.png"))
    assert ".png" in refused(capsys, "bench", "--picture", "")
    (tmp_path / "d.png").mkdir()
    assert "name of a file" in refused(capsys, "bench", "--picture", str(tmp_path / "d.png"))
    if os.path.isdir("/proc/self"):
        assert "nothing can be written in '/proc'" in refused(capsys, "bench", "--picture", "/proc/b.png")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install" in refused(capsys, "bench", "--picture", str(tmp_path / "b.png"))
    for seconds in ("0", "nan", "a minute"):
        with pytest.raises(SystemExit):
            main(["bench", "--seconds", seconds])
        assert "expected seconds above 0, got " + seconds in capsys.readouterr().err


def test_a_worker_measures_ours_and_tells_of_errors(monkeypatch, capsys):
    monkeypatch.setattr(
        workers,
        "SHAPES",
        [workers.Shape("s", kind, 2, 3, 4, 5, train) for kind, train in (("lstm", True), ("gru", False))],
    )
    assert workers.measure("lstmcore", 0.001)["s"] > 0
    assert bench._measured("no_such_library", 1, 0.001) is None
    assert "no_such_library could not be measured" in capsys.readouterr().err


def test_operations_are_those_of_the_products():
    assert workers.Shape("s", "gru", 2, 3, 4, 5, False).operations == 2 * 2 * 3 * (3 * 5) * (4 + 5)
    assert workers.Shape("s", "lstm", 2, 3, 4, 5, True).operations == 3 * 2 * 2 * 3 * (4 * 5) * (4 + 5)
