"""Builds of the core: once as it is, and then one set's objects and one link for each mutant."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from . import ROOT

# Tests are short and compiling is not: without optimisation it takes a third of the time. What the kernels
# promise of their sums (-ffp-contract=off) is among the flags of CMakeLists.txt, which stay.
FLAGS = {"extension": "-O0", "check_core": "-O1"}


def run(command, **more):
    """Run a command to its end; say what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def environment():
    """Where cmake and ninja are found, also those that were installed beside this Python."""
    scripts = sysconfig.get_path("scripts")
    return {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"]}


class Build:
    """The core as it is, in a directory: the extension, or check_core with ThreadSanitizer."""

    def __init__(self, directory, kind):
        self.directory = Path(directory)
        self.target = "check_core" if kind == "check_core" else "_core"
        # Without optimisation Clang takes half of GCC's time; ThreadSanitizer sees OpenMP's threads only with Clang.
        self.compiler = shutil.which("clang++") or "c++"
        options = [f"-DCMAKE_CXX_COMPILER={self.compiler}", "-DCMAKE_BUILD_TYPE=Release"]
        options += [f"-DCMAKE_CXX_FLAGS_RELEASE={FLAGS[kind]}"]
        if kind == "check_core":
            options += ["-DLSTMCORE_CHECK=ON", "-DLSTMCORE_PYTHON=OFF", "-DLSTMCORE_SANITIZE=thread"]
        else:
            pybind11 = run([sys.executable, "-m", "pybind11", "--cmakedir"]).strip()
            options += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11}"]
        run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", self.directory, *options], env=environment())
        run(["cmake", "--build", self.directory, "--target", self.target], env=environment())
        ninja = ["ninja", "-C", self.directory, "-t", "commands", self.target]
        self.commands = run(ninja, env=environment()).splitlines()
        self.output = self.commands[-1].split(" -o ")[1].split()[0]

    def prepare(self, place):
        """Copy what a mutant changes, and what is imported with it, to a place of its own."""
        shutil.copytree(ROOT / "src", place / "src", dirs_exist_ok=True)
        shutil.copytree(ROOT / "python" / "lstmcore", place / "lstmcore", dirs_exist_ok=True)

    def make(self, place, isa):
        """Compile one set's kernels from the sources of a place and link the core there; return what it is."""
        made = place / ("lstmcore" if self.target == "_core" else "") / Path(self.output).name
        own = re.compile(rf" -o (CMakeFiles/(?:float64_)?kernels_{isa}\.dir/src/cpp/kernels/(\S+))")
        linked = self.commands[-1].replace(f"-o {self.output}", f"-o {made}")
        compiled = []
        for command in self.commands:
            if found := own.search(command):
                path, name = found.groups()
                object = str(place / (("float64_" if "float64_kernels" in path else "") + name))
                command = command.replace(path, object)
                compiled.append(command.replace(str(ROOT / "src"), str(place / "src")))
                linked = linked.replace(path, object)
        made.unlink(missing_ok=True)
        for command in (*compiled, linked):
            run(command, shell=True, cwd=self.directory, env=environment())
        return made
