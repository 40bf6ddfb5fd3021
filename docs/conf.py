"""How the site is built: ``python -m sphinx -W -b html docs docs/_build/html``, with the extra ``docs``.

Nothing that is generated is kept in the repository: the gallery is made of ``examples/``, the pictures of the guides by
``figures/``, the pages of the API from the docstrings.
"""

import os
import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here))

os.environ.setdefault("KERAS_BACKEND", "torch")  # for the page of lstmcore.keras

import site_docstrings  # noqa: E402
import site_figures  # noqa: E402
import site_gallery  # noqa: E402
import site_notebooks  # noqa: E402

import lstmcore  # noqa: E402

project = "lstmcore"
release = version = lstmcore.__version__
copyright = "the authors of lstmcore"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery_sources", "**/README.md"]
templates_path = ["_templates"]
default_role = "code"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_default_options = {"members": False}
autodoc_typehints = "none"  # they stand in the docstrings
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "lstmcore"
html_show_sourcelink = False
html_static_path = ["style"]
html_css_files = ["site.css"]
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

sphinx_gallery_conf = site_gallery.configuration(execute=os.environ.get("LSTMCORE_DOCS_RUN", "quick"))


def setup(app):
    """Make what the pages are made of before they are looked for."""
    app.connect("config-inited", site_notebooks.prepare, priority=0)
    app.connect("config-inited", site_gallery.prepare, priority=0)
    app.connect("builder-inited", site_figures.draw_all)
    app.connect("autodoc-process-docstring", site_docstrings.prepare, priority=0)
    app.connect("source-read", site_gallery.link_programs)
