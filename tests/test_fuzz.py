"""A short run of the random tests of ``python -m tests.fuzz``."""

import os
import secrets

import numpy as np
import pytest
from fuzz import GENERATORS, generator

CASES = {"calls": 50, "doors": 40, "chains": 40, "masks": 50, "training": 20, "changes": 50}
CASES |= {"files": 30, "threads": 10, "interrupts": 10, "kills": 1}


@pytest.mark.parametrize("name", GENERATORS)
def test_random_cases_keep_their_promises(name):
    case = generator(name)
    first = 0 if os.environ.get("CI") else secrets.randbelow(2**31)
    for seed in range(first, first + CASES[name]):
        try:
            case(np.random.default_rng(seed))
        except Exception as error:
            raise AssertionError(f"python -m tests.fuzz --only {name} --seed {seed} --count 1") from error
