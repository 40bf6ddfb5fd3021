import os

# The reference multiplies small matrices: waking NumPy's own threads takes longer. Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")  # for the examples; TensorFlow, which Keras would take, is not ours

import pytest
from hypothesis import HealthCheck, Phase, settings

from lstmcore import _core

# No deadline: the first call of a shape may meet a cold machine. HYPOTHESIS_PROFILE=short is for repeated runs
# (other instruction sets, sanitizers).
common = {"deadline": None, "derandomize": bool(os.environ.get("CI")), "suppress_health_check": list(HealthCheck)}
settings.register_profile("default", max_examples=250, **common)
settings.register_profile("short", max_examples=25, **common)
# A mutant needs to be seen, once: no smallest example.
seen = {"phases": [Phase.explicit, Phase.generate], "report_multiple_bugs": False}
settings.register_profile("mutants", max_examples=25, **seen, **common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Files that do not touch the kernels, or not in ways that depend on the instruction set and the number of threads:
# continuous integration runs these once.
ONCE = {
    "arguments",
    "audio",
    "bad_input",
    "callbacks",
    "config",
    "constraints",
    "data",
    "doctests",
    "edit_distance",
    "examples",
    "imdb",
    "initializers",
    "keras_accelerated",
    "losses",
    "metrics",
    "mutants",
    "new_cell",
    "not_offered",
    "objective",
    "ownership",
    "reference",
    "regularizers",
    "resume_kill",
    "saving",
    "schedules",
    "sequential",
    "sklearn",
    "speech_examples",
    "state_dict_files",
    "structure",
    "tables",
    "text",
    "torch_modules",
    "torch_weights",
    "tuner",
    "utils",
    "windows",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem.removeprefix("test_") in ONCE:
            item.add_marker("once")


@pytest.fixture
def set_threads():
    """Sets the thread limit; restores it afterwards."""
    before = _core.get_num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)
