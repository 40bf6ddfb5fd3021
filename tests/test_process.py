"""The library in its process: forced instruction sets, forks, threads, floating-point mode, imports."""

import functools
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from problems import Problem, assert_same_bits

import lstmcore
from lstmcore import _core, functional

needs_threads = pytest.mark.skipif(_core.config()["threading"] == "none", reason="this build has no threads")

# Work that is shared among threads, and which therefore starts them.
SHARED = Problem(16, 12, 20, 100)


def python(program, timeout=60, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


# --- instruction sets ---

AGREES = """
import numpy as np
from lstmcore import functional, reference, _core
rng = np.random.default_rng(0)
x = rng.standard_normal((7, 5, 9))
w = [rng.standard_normal(s) / 4 for s in ((9, 120), (30, 120), (120,))]
for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
    y, _, cache = functional.lstm(x.astype(dtype), [a.astype(dtype) for a in w], training=True)
    z, _, kept = reference.lstm(x, w, training=True)
    got, want = functional.lstm_backward(cache, np.ones_like(y)), reference.lstm_backward(kept, np.ones_like(z))
    assert abs(y - z).max() < tolerance
    for a, b in zip((got[0], *got[1]), (want[0], *want[1])):
        assert abs(a - b).max() < tolerance * abs(b).max()
print(_core.config()["instruction_set"], y.tobytes().hex()[:64])
"""


@pytest.mark.parametrize("name", _core.config()["available_instruction_sets"])
def test_a_forced_instruction_set_is_used_and_right(name):
    run = python(AGREES, LSTMCORE_ISA=name)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] == name


def test_an_unknown_instruction_set_is_an_error_of_the_import():
    run = python("import lstmcore", LSTMCORE_ISA="mmx")
    assert run.returncode != 0
    assert "LSTMCORE_ISA=mmx: expected one of " in run.stderr


def test_a_missing_instruction_set_is_an_error_of_the_import():
    missing = {"avx512", "avx2"} - set(_core.config()["available_instruction_sets"])
    if not missing:
        pytest.skip("this CPU has every instruction set there is a kernel for")
    run = python("import lstmcore", LSTMCORE_ISA=missing.pop())
    assert run.returncode != 0
    assert "does not have that instruction set" in run.stderr or "expected one of" in run.stderr


# --- forks ---


def wait_for(pid, seconds=30):
    """The child's exit code; kills it and fails if it hangs."""
    for _ in range(100 * seconds):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_can_use_it_after_its_parent_did(threads, set_threads):
    set_threads(threads)
    want = SHARED.run(functional)
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert_same_bits(SHARED.run(functional), want)
                assert_same_bits(SHARED.run(functional), want)
                code = 0
            finally:
                os._exit(code)
        assert wait_for(pid) == 0
        assert_same_bits(SHARED.run(functional), want)  # and so can the parent still


def child(queue):
    queue.put(SHARED.run(functional)["outputs"])


def test_multiprocessing_with_fork(set_threads):
    set_threads(2)
    want = SHARED.run(functional)["outputs"]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    np.testing.assert_array_equal(queue.get(timeout=30), want)
    process.join(30)
    assert process.exitcode == 0


# --- endings ---

ENDS = """
import threading, time
import numpy as np
from lstmcore import _core, decoders, functional
rng = np.random.default_rng(0)
def normal(*shape):
    return rng.standard_normal(shape).astype("float32") / 8
weights = [normal(64, 512), normal(128, 512), normal(512)]
x, labels = normal(8, 50, 64), np.ones((8, 5), "int64")
labels_of_steps, scores = np.ones((8, 50), "int64"), normal(64, 64)
y, _, cache = functional.lstm(x, weights, training=True)
a, v, packed = normal(300, 300), normal(300_000), functional.pack_lstm(weights)
calls = [
    lambda: functional.pack_lstm(weights),
    lambda: functional.lstm(x, packed),
    lambda: functional.lstm_backward(cache, y),
    lambda: _core.matmul(a, a),
    lambda: _core.sum_of_squares(v),
    lambda: _core.optimizer_step("sgd", v.copy(), v, [], [0.1]),
    lambda: _core.add_rows(a.copy(), np.arange(300), a),
    lambda: _core.ctc(x, labels, None, None, 0, True, False, True),
    lambda: _core.crf(x, labels_of_steps, scores, scores[0], scores[0], None, True),
    lambda: _core.crf_decode(x, scores, scores[0], scores[0], None),
    lambda: decoders.greedy(x),
    lambda: decoders.beam_search(x, beam_width=10),
    lambda: decoders.beam_search(x[:, :10], beam_width=10, lm=lambda prefix, label: -sum(range(50)) - 1.0),
]
begun = [threading.Event() for _ in calls]
def for_ever(k):
    while True:
        calls[k]()
        begun[k].set()
for k in range(len(calls)):
    threading.Thread(target=for_ever, args=(k,), daemon=True).start()
for event in begun:
    event.wait()
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_process_ends_while_threads_that_nobody_waits_for_are_in_kernels(threads):
    for _ in range(3):
        run = python(ENDS, OMP_NUM_THREADS=threads)
        assert (run.returncode, run.stderr) == (0, "")


# --- threads and modes ---


def test_the_thread_limit_comes_from_the_environment_and_can_be_set():
    program = "import lstmcore; print(lstmcore.get_num_threads())"
    openmp = _core.config()["threading"] != "none"
    assert python(program, OMP_NUM_THREADS="3").stdout.strip() == ("3" if openmp else "1")
    before = lstmcore.get_num_threads()
    with lstmcore.threads(1):
        assert lstmcore.get_num_threads() == 1
        with pytest.raises(RuntimeError, match="leave"), lstmcore.threads(2):
            raise RuntimeError("leave")
        assert lstmcore.get_num_threads() == 1
    assert lstmcore.get_num_threads() == before


PRINTS_THREADS = "import lstmcore; print(lstmcore.get_num_threads())"


@functools.cache
def default_threads():
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", PRINTS_THREADS], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return int(run.stdout)


@needs_threads
@pytest.mark.parametrize(
    ("value", "threads"),
    [("4,2", 4), (" 3 ", 3), ("100000", 4096), ("9" * 30, 4096)] + [(v, None) for v in ("", "0,4", "4,many", "4x")],
)
def test_omp_num_threads_is_a_list_of_numbers_or_as_if_not_set(value, threads):
    run = python(PRINTS_THREADS, OMP_NUM_THREADS=value)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == (default_threads() if threads is None else threads)


GROWS = """
import resource
import numpy as np
import lstmcore
from lstmcore import functional
x, weights = np.ones((64, 50, 64), "float32"), [np.full((n, 512), 0.01, "float32") for n in (64, 128)]
lstmcore.set_num_threads(1)
want = functional.lstm(x, weights)[0]
{limit}
for _ in range(2):
    lstmcore.set_num_threads({threads})
    np.testing.assert_array_equal(functional.lstm(x, weights)[0], want)
    np.testing.assert_array_equal(functional.lstm(x, weights)[0], want)
    print(lstmcore.get_num_threads())
"""
# For two stacks of 64 MB beyond what the process has, and not for a third.
LITTLE_MEMORY = """
with open("/proc/self/status") as status:
    size = next(int(line.split()[1]) for line in status if line.startswith("VmSize:"))
resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + (160 << 20), resource.RLIM_INFINITY))
"""


@needs_threads
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not say how large a process is")
@pytest.mark.parametrize(("limit", "stack", "threads"), [("", "200000G", "1"), (LITTLE_MEMORY, "64M", "3")])
def test_threads_that_cannot_be_started_are_done_without(limit, stack, threads):
    run = python(GROWS.format(limit=limit, threads=6), OMP_STACKSIZE=stack, OPENBLAS_NUM_THREADS="1")
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [threads, threads]
    assert run.stderr.count(f"lstmcore: {threads} of 6 threads can be started; going on with {threads}\n") == 1


SHRINKS = """
import os, time
import numpy as np
import lstmcore
from lstmcore import functional
x, weights = np.ones((64, 50, 64), "float32"), [np.full((n, 512), 0.01, "float32") for n in (64, 128)]
for threads in (1, 12, 2):
    lstmcore.set_num_threads(threads)
    want = functional.lstm(x, weights)[0]
while len(os.listdir("/proc/self/task")) > 2:
    time.sleep(0.001)
"""


@needs_threads
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not say how large a process is")
def test_threads_that_a_smaller_team_let_go_may_not_start_again():
    run = python(SHRINKS + GROWS.format(limit=LITTLE_MEMORY, threads=12), OMP_STACKSIZE="64M", OPENBLAS_NUM_THREADS="1")
    assert run.returncode == 0, run.stderr


# Files of Linux as they are found in containers and services, and how many CPUs they leave.
ROOT_2 = {"proc/self/mountinfo": "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw\n"}
ROOT_1 = {
    "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
}
NESTED_1 = {"proc/self/cgroup": "12:cpuset:/\n4:cpu,cpuacct:/jobs/one/step\n"}
GROUPS = "sys/fs/cgroup"


def quota_1(group, quota, period=100000):
    place = f"{GROUPS}/cpu,cpuacct{group}"
    return {f"{place}/cpu.cfs_quota_us": f"{quota}\n", f"{place}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, np.inf),
        (ROOT_2 | {"proc/self/cgroup": "0::/\n"}, np.inf),
        (ROOT_2 | {"proc/self/cgroup": "0::/\n", f"{GROUPS}/cpu.max": "150000 100000\n"}, 1.5),
        (ROOT_2 | {"proc/self/cgroup": "0::/a/b\n", f"{GROUPS}/a/b/cpu.max": "max 100000\n"}, np.inf),
        (ROOT_2 | {"proc/self/cgroup": "0::/a/b\n", f"{GROUPS}/a/b/cpu.max": "50000 100000\n"}, 0.5),
        (
            ROOT_2
            | {"proc/self/cgroup": "0::/a/b: c/d\n"}
            | {f"{GROUPS}/a/b: c/d/cpu.max": "400000 100000\n", f"{GROUPS}/a/b: c/cpu.max": "max 100000\n"}
            | {f"{GROUPS}/a/cpu.max": "60000 20000\n", f"{GROUPS}/other/cpu.max": "20000 20000\n"},
            3,
        ),
        # The group is not below what is mounted: a container that sees its own part alone.
        (ROOT_2 | {"proc/self/cgroup": "0::/../../x\n", f"{GROUPS}/cpu.max": "200000 100000\n"}, 2),
        (
            {
                "proc/self/mountinfo": "31 23 0:26 /docker/12\\0404 /sys/fs/c\\040g rw - cgroup2 cgroup2 rw\n",
                "proc/self/cgroup": "0::/docker/12 4/job\n",
                "sys/fs/c g/cpu.max": "700000 100000\n",
                "sys/fs/c g/job/cpu.max": "600000 100000\n",
            },
            6,
        ),
        (ROOT_1 | NESTED_1, np.inf),
        (ROOT_1 | NESTED_1 | quota_1("/jobs/one/step", -1) | quota_1("", -1), np.inf),
        (ROOT_1 | NESTED_1 | quota_1("/jobs/one/step", 250000), 2.5),
        (ROOT_1 | NESTED_1 | quota_1("/jobs/one/step", -1) | quota_1("/jobs", 75000, 50000), 1.5),
        (ROOT_1 | NESTED_1 | quota_1("/jobs/one", 400000) | quota_1("", 350000) | quota_1("/others", 10), 3.5),
        # Both versions at once, as systemd has them: the least of the two.
        (
            {
                "proc/self/mountinfo": ROOT_1["proc/self/mountinfo"]
                + "40 31 0:37 / /sys/fs/cgroup/unified rw - cgroup2 c rw",
                "proc/self/cgroup": "4:cpu,cpuacct:/jobs\n1:name=systemd:/z\n0::/user\n",
                f"{GROUPS}/unified/user/cpu.max": "200000 100000\n",
            }
            | quota_1("/jobs", 900000),
            2,
        ),
        (ROOT_2 | {"proc/self/cgroup": "nonsense\n0:\n\n0::\n", f"{GROUPS}/cpu.max": "nonsense\n"}, np.inf),
        (ROOT_2 | {"proc/self/cgroup": "0::/a\n", f"{GROUPS}/a/cpu.max": "100000 0\n"}, np.inf),
    ],
)
def test_quotas_of_control_groups_are_found_wherever_they_are_set(files, cpus, tmp_path):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert _core.cpu_quota(str(tmp_path)) == cpus


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes to CPUs")
def test_affinity_limits_the_threads():
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import lstmcore; print(lstmcore.get_num_threads())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.strip() == "1"


def test_the_callers_floating_point_mode_is_left_alone():
    SHARED.run(functional)
    _core.tanh(np.ones(3))
    denormal = np.array([1e-38], "float32") * np.float32(1e-3)
    assert denormal[0] > 0


def test_memory_does_not_grow_with_calls_or_shapes():
    # Every call once more than keeps what is freed; after that the process stays as large as it is.
    program = """
import resource
import numpy as np
from lstmcore import functional
rng = np.random.default_rng(0)
def work(k):
    x = np.zeros((16, 50 + k % 20, 30), "float32")
    w = [np.zeros((30, 400), "float32"), np.zeros((100, 400), "float32")]
    y, _, cache = functional.lstm(x, w, training=True)
    functional.lstm_backward(cache, y)
for k in range(40): work(k)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for k in range(400): work(k)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = python(program)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 16_000  # kB; a leak of one cache a call would be 700,000


def test_calls_from_short_lived_threads_leak_nothing():
    # A pool of threads for every few calls, as web servers make them: OpenMP's own threads must not add up.
    program = """
import os, resource
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from lstmcore import functional, set_num_threads
set_num_threads(2)
x = np.zeros((16, 50, 30), "float32")
packed = functional.pack_lstm([np.zeros((30, 400), "float32"), np.zeros((100, 400), "float32")])
def rounds(n):
    for _ in range(n):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: functional.lstm(x, packed)[0], range(4)))
rounds(20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rounds(100)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(os.listdir("/proc/self/task")))
"""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("this system does not list a process's threads")
    run = python(program, timeout=120)
    assert run.returncode == 0, run.stderr
    grown, threads = map(int, run.stdout.split())
    assert grown < 16_000  # kB; the stacks that are touched of 200 threads that stay would be more
    assert threads < 20


# --- import ---


def test_import_is_light():
    program = "import sys, numpy; before = set(sys.modules); import lstmcore; print(*sorted(set(sys.modules) - before))"
    loaded = python(program).stdout.split()
    assert "lstmcore._core" in loaded
    heavy = {"matplotlib", "tqdm", "scipy", "pandas", "torch", "asyncio", "multiprocessing", "concurrent", "doctest"}
    heavy |= {"sklearn", "joblib", "onnx", "google", "keras", "jax"}
    heavy |= {"tempfile", "shutil", "bz2", "lzma"}  # small each, but more than a tenth of the time it takes
    assert not heavy & {name.partition(".")[0] for name in loaded}


BARE = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name in {"torch", "keras", "sklearn", "jax", "h5py", "onnx", "scipy", "optuna", "autograd"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from lstmcore import *
from lstmcore.layers import *
model = Sequential([Input((3, 1)), LSTM(2)])
"""


def test_every_public_name_is_there_without_optional_packages():
    python(BARE)


# --- other libraries' threads ---

FIT = """
import os
before = set(os.listdir("/proc/self/task"))
import numpy as np
others = set(os.listdir("/proc/self/task")) - before
def used():
    # What those threads have run, in nanoseconds, once they have come to rest.
    import time
    before = None
    while before != (before := [open(f"/proc/self/task/{t}/schedstat").read().split()[0] for t in sorted(others)]):
        time.sleep(0.01)
    return before
from lstmcore import Sequential, layers, losses, metrics, optimizers
start = used()
if control:
    np.ones((300, 300)) @ np.ones((300, 300))
x, y = np.random.default_rng(0).standard_normal((64, 12, 3)), np.zeros((64, 1))
chain = [layers.Conv1D(8, 3), layers.BatchNormalization(), layers.Bidirectional(layers.GRU(9, return_sequences=True))]
chain += [layers.LSTM(150, recurrent_regularizer="orthogonal_regularizer", recurrent_constraint="unit_norm")]
chain += [layers.LayerNormalization(), layers.Dense(200, kernel_initializer="orthogonal"), layers.Dense(1, "sigmoid")]
model = Sequential(chain)
reported = ["accuracy", "auc", "mae", metrics.R2Score()]
model.compile(optimizers.Adam(global_clipnorm=1.0), "binary_crossentropy", metrics=reported)
model.fit(x, y, validation_split=0.2, verbose=0)
words = Sequential([layers.Embedding(9, 8), layers.Dense(6)])
words.compile("sgd", losses.CTC(), metrics=[metrics.CharacterErrorRate()])
words.fit(np.arange(5000).reshape(500, 10) % 9, np.ones((500, 2), int), batch_size=500, verbose=0)
print(len(others), used() == start)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not tell what threads have run")
def test_making_a_model_and_training_it_wakes_no_threads_of_another_library():
    awake = python("control = True" + FIT, OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="1")
    assert awake.returncode == 0, awake.stderr
    if awake.stdout.split()[1] == "True":
        pytest.skip("this NumPy has no threads of its own that could be seen")
    asleep = python("control = False" + FIT, OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="1")
    assert asleep.stdout.split()[1] == "True", (asleep.stdout, asleep.stderr)
