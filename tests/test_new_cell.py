"""What a cell touches: as few files as CONTRIBUTING says, and a new one that is written so works."""

import importlib.util
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# An exponential moving average, h = h_prev / 2 + (x W + b) / 2.
HEADER = """
#pragma once

#include "min_cell.hpp"

namespace lstmcore::LSTMCORE_ISA {

struct AverageCell : MinCell {
    static constexpr int gates = 1, vectors = 2, sums = gates * vectors, width = 1, saved = 0;

    static Columns columns(const RecurrentShape& s, const CellOptions&) {
        return {{{0, s.units, 0, -1, false}}, 1, s.units, 1};
    }

    template <class T>
    static LSTMCORE_INLINE void forward(const Vec<T> (&pre)[sums], const ForwardProblem<T>& p, long b, long t,
                                        long first) {
        for_each_vector<T>(p, vectors, first, [&](int v, long unit, int n) {
            const Vec<T> half = broadcast(T(0.5)), h_prev = load(previous_h(p, b, t) + unit, n);
            store_h(p, half * h_prev + half * pre[v], h_prev, b, t, unit, n);
        });
    }

    template <class T>
    struct BackwardRow : MinRow<T> {
        using MinRow<T>::MinRow;
        LSTMCORE_INLINE void backward(Vec<T> dh_, long unit, int n) const {
            const Vec<T> half = broadcast(T(0.5)), dh = this->taken(dh_, unit);
            this->hand_on(fma(half, dh, dh_), unit, n);
            store(this->dpre + unit, half * dh, n);
        }
    };
};

}  // namespace lstmcore::LSTMCORE_ISA
"""

# With the extension alone, by itself: the package knows nothing of the cell.
PROGRAM = """
import types

import _core
import numpy as np

assert _core.cells["average"] == ("h",)
options = types.SimpleNamespace(cell="average")
assert _core.describe(options) == (1, ("kernel", "bias"))
rng = np.random.default_rng(0)
x, W, b, h0 = (rng.standard_normal(shape) for shape in ((3, 7, 4), (4, 21), 21, (3, 21)))
dy, d_last = rng.standard_normal((3, 7, 21)), rng.standard_normal((3, 21))
weights = _core.pack(options, [W, b], True, False)
y, (h,), cache = _core.forward(weights, x, (h0,), True, True, *[None] * 3, *[False] * 2, *[None] * 3, False, "average")
dx, (dW, db), (dh0,) = _core.backward(cache, dy, (d_last,), True, [])

want = [h0]
for t in range(7):
    want.append(want[-1] / 2 + (x[:, t] @ W + b) / 2)
dh, dpre = d_last, np.empty_like(dy)
for t in reversed(range(7)):
    dpre[:, t] = (dh + dy[:, t]) / 2
    dh = dpre[:, t]
for got, expected in (
    (y, np.stack(want[1:], axis=1)),
    (h, want[-1]),
    (dx, dpre @ W.T),
    (dW, np.einsum("btx,btu->xu", x, dpre)),
    (db, dpre.sum((0, 1))),
    (dh0, dh),
):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
"""


def named_in_contributing():
    """The files that CONTRIBUTING says a new cell has a line in."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## A new cell\n")[1].split("\n## ")[0]
    return set(re.findall(r"^    ((?:src|python|tests)/\S+)", section, re.MULTILINE))


def test_a_cell_is_in_the_files_that_contributing_names_and_in_its_own():
    files = [file for folder in ("src", "python") for file in (ROOT / folder).rglob("*") if file.suffix in SOURCES]
    having = {str(f.relative_to(ROOT)) for f in (*files, ROOT / "tests/problems.py") if NAMES.search(f.read_text())}
    own = {"src/cpp/kernels/cells/slstm.hpp", "python/lstmcore/reference/slstm.py", "python/lstmcore/layers/slstm.py"}
    assert having == named_in_contributing() | own


SOURCES = {".cpp", ".hpp", ".py", ".pyi"}
NAMES = re.compile("slstm|Slstm|SLSTM")  # but sLSTM, in comments


def repeat_lines_of_min_gru(tree, replacements):
    """Write each line of the core that has the minGRU in it a second time, for the new cell; return the files."""
    touched = set()
    for file in (tree / "src/cpp").rglob("*.[ch]pp"):
        if file.name == "min_gru.hpp":
            continue
        lines = file.read_text().splitlines(keepends=True)
        mine = [line for line in lines if re.search("min_gru|MinGru", line)]
        if not mine:
            continue
        touched.add(str(file.relative_to(tree)))
        for line in mine:
            new = line
            for old, by in replacements.items():
                new = new.replace(old, by)
            lines.insert(lines.index(line) + 1, new)
        file.write_text("".join(lines))
    return touched


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_a_new_cell_is_a_header_and_as_many_lines_as_contributing_names(tmp_path):
    for program in ("cmake", "c++"):
        if shutil.which(program) is None:
            pytest.skip(f"builds the extension, and there is no {program}")
    if importlib.util.find_spec("pybind11") is None:
        pytest.skip("builds the extension, and there is no pybind11")
    import pybind11

    tree, build = tmp_path / "tree", tmp_path / "build"
    for folder in ("src", "include", "cmake", "third_party"):
        shutil.copytree(ROOT / folder, tree / folder)
    shutil.copy(ROOT / "CMakeLists.txt", tree)
    (tree / "src/cpp/kernels/cells/average.hpp").write_text(HEADER)
    replacements = {"MinGru": "Average", "min_gru": "average", "min_options": "no_options", "gates<2>": "gates<1>"}
    touched = repeat_lines_of_min_gru(tree, replacements)
    assert touched == {name for name in named_in_contributing() if name.startswith("src/")}

    # As little as it takes: one instruction set, nothing optimised, the bindings read together.
    one_set = "neon" if platform.machine() in ("aarch64", "arm64") else "baseline"
    run(
        *("cmake", "-S", tree, "-B", build, f"-DPython_EXECUTABLE={sys.executable}"),
        *(f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DLSTMCORE_SETS={one_set}", "-DCMAKE_CXX_FLAGS_RELEASE=-O0"),
        *("-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0"),
    )
    run("cmake", "--build", build, "--parallel", "2")
    run(sys.executable, "-c", PROGRAM, cwd=build)
