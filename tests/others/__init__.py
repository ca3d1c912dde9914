"""Test suites that nobody here wrote, run without and with the plugin: it must be invisible on them.

    python -m others requests httpx        # from the directory tests/; all of them without a name

``suites`` is the list, ``__main__`` fetches, installs, runs and compares, ``record`` is the pytest plugin that notes
what became of each test.  It is not run by default: it takes long, and needs a package index.
"""
