"""Pictures of the guides, drawn by the programs in ``figures/`` when the site is built."""

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
            subprocess.run([sys.executable, program, picture], check=True, cwd=program.parent)
