"""Pictures of the guides, drawn by the programs in ``figures/`` when the site is built."""

import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
drawn = here / "_figures"


def draw_all(app=None):
    """Draw what is older than the program that draws it."""
    drawn.mkdir(exist_ok=True)
    for program in sorted((here / "figures").glob("[!_]*.py")):
        picture = drawn / f"{program.stem}.png"
        if not picture.exists() or picture.stat().st_mtime < program.stat().st_mtime:
            one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # the networks are too small for more
            subprocess.run([sys.executable, program, picture], check=True, env=one_thread)
