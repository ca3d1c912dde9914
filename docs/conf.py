"""Sphinx's settings: ``sphinx-build -W -n docs docs/_build``."""

project = "pytest-connleak"
author = "the authors of pytest-connleak"
copyright = author

extensions = ["myst_parser"]
exclude_patterns = ["_build", "measured/table.md"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # what is typed with two dashes keeps them

html_theme = "furo"
html_title = "pytest-connleak"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
