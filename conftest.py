"""The plugins of this repository's tests: the suite itself, and what only its own tests need."""

pytest_plugins = [
    "pytester",
    "lumen_conformance.plugin",
    "tests.fixtures.nested_pytest",
    "tests.fixtures.mutations",
    "tests.fixtures.update_option",
]
