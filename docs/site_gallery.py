"""The gallery of the site: the programs of ``examples/`` with headings, some of them run, their pictures shown.

Programs that need neither data nor minutes are run when the site is built; ``LSTMCORE_DOCS_RUN=all`` runs all of them,
for which the files of data have to be there, ``none`` none.
"""

import pathlib
import re
import shutil
import sys

here = pathlib.Path(__file__).parent
programs = here.parent / "examples"
sources = here / "gallery_sources"  # what sphinx-gallery reads: the programs, their docstrings under headings

# Headings, in the order of the page.
headings = {
    "air_passengers": "Forecast the next month",
    "air_passengers_ahead": "Forecast a year at once",
    "energy": "Several series, 24 hours ahead",
    "oil_and_load": "Two inputs, two outputs",
    "air_quality": "Forecast the change",
    "vanishing_gradients": "How far back gradients reach",
    "addition": "Encoder and decoder",
    "dates": "Encoder and decoder with attention",
    "selective_copying": "Newer cells at 1,000 steps",
    "sentiment": "Tell opinions in texts",
    "bilstm_crf_tagger": "Tag with a conditional random field",
    "characters": "Write like Shakespeare",
    "music": "Harmonies of chorales",
    "movement": "Tell movements apart",
    "spoken_digits": "Recognise spoken digits",
    "transcription": "Spell what is said",
    "streaming_recognition": "Recognise while one speaks",
    "hyperparameters": "Search for hyper-parameters",
    "grid_search": "A grid search of scikit-learn",
    "serve_keras_file": "Serve a Keras file",
    "accelerate_pytorch": "Make a PyTorch program faster",
}
quick = ("air_passengers", "air_passengers_ahead", "vanishing_gradients")
introduction = """Gallery
=======

Programs to run and to take apart. Each prints its score beside a baseline or a published number and saves a picture;
the :doc:`table of scores </scores>` has them side by side. `--help` tells the options.

As a notebook, with all that comes out of it:

.. toctree::
   :glob:

   /notebooks/*

"""


def prepare(app, config):
    """Write what sphinx-gallery reads."""
    missing = {path.stem for path in programs.glob("*.py")} - {"common", "speech"} ^ headings.keys()
    if missing:
        raise ValueError(f"docs/site_gallery.py and examples/ differ in {sorted(missing)}")
    sources.mkdir(exist_ok=True)
    write(sources / "GALLERY_HEADER.rst", introduction)
    for name, heading in headings.items():
        text = (programs / f"{name}.py").read_text("utf-8")
        write(sources / f"{name}.py", text.replace('"""', f'"""{heading}\n{"=" * len(heading)}\n\n', 1))


def write(path, text):
    """Write a file unless that is what it holds: what is unchanged is not built again."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def configuration(execute):
    """Return the configuration of sphinx-gallery."""
    if execute not in ("quick", "all", "none"):
        raise ValueError(f"LSTMCORE_DOCS_RUN is quick, all or none, not {execute!r}")
    run = {"quick": "|".join(quick), "all": "|".join(headings), "none": "$^"}[execute]
    sys.path.insert(0, str(programs))  # for what the programs share
    return {
        "examples_dirs": str(sources),
        "gallery_dirs": "gallery",
        "filename_pattern": rf"/({run})\.py$",
        "within_subsection_order": "site_gallery.Order",
        "image_scrapers": ("site_gallery.take_pictures",),
        "reset_argv": "site_gallery.begin",
        "reset_modules": (),
        "abort_on_example_error": True,
        "download_all_examples": False,
        "show_memory": False,
        "show_signature": False,
        "remove_config_comments": True,
        "min_reported_time": 1e9,
        "write_computation_times": False,
    }


class Order:
    """The order of the programs on the page."""

    def __init__(self, source_dir):
        self.names = list(headings)

    def __call__(self, file):
        """Return the place of a program."""
        return self.names.index(pathlib.Path(file).stem)


def begin(gallery_conf, script_vars):
    """Give a program back its docstring, which sphinx-gallery has taken out; return its options."""
    script_vars["example_globals"]["__doc__"] = "A program of the gallery."
    return []


def take_pictures(block, block_vars, gallery_conf):
    """Take the pictures that a program has saved."""
    from sphinx_gallery.scrapers import figure_rst

    taken = []
    for saved in sorted(pathlib.Path.cwd().glob("*.png")):
        path = next(block_vars["image_path_iterator"])
        shutil.move(saved, path)
        taken.append(path)
    return figure_rst(taken, gallery_conf["src_dir"])


def link_programs(app, docname, source):
    """Let links to programs lead to their pages of the gallery."""
    source[0] = re.sub(r"\]\((?:\.\./)*examples/(\w+)\.py\)", r"](gallery/\1.rst)", source[0])
