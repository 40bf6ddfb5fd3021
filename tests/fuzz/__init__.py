"""Random problems without end, each held against something independent: the reference, a slower way, a rule.

``python -m tests.fuzz --minutes 60`` runs all generators in turn for an hour; ``tests/test_fuzz.py`` runs each a few
times. A generator is a module with a function ``case(rng)`` that raises where a promise is broken; all that is random
in it comes from ``rng``, so that the number that is printed with a failure brings the case back:
``python -m tests.fuzz --only calls --seed 123 --count 1``.
"""

import importlib
import sys
from pathlib import Path

# The tests are a folder of files, not a package: what they share is imported as they import it.
sys.path.insert(0, str(Path(__file__).parents[1]))

# Name of the module, and the share of the time that it gets.
GENERATORS = {
    "calls": 4,
    "doors": 3,
    "chains": 3,
    "masks": 3,
    "training": 2,
    "changes": 2,
    "files": 2,
    "threads": 1,
    "interrupts": 1,
    "kills": 1,
}


def generator(name):
    """The function ``case`` of a generator."""
    return importlib.import_module(f"{__name__}.{name}").case
