"""The documentation site: Sphinx with furo and MyST, built offline by `make docs` into build/site."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mrs_pipeline import __version__  # noqa: E402 - found by the line above

project = "mrs_pipeline"
author = "the contributors of mrs_pipeline"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["benchmarks"]

html_theme = "furo"
html_title = f"mrs_pipeline {version}"
html_show_copyright = False
html_show_sourcelink = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]  # `defs.yaml` fragments that are no whole documents

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
