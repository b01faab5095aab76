"""The plugins of the tests of this repository: the plugin of the suite, and fixtures of the suite's own tests."""

pytest_plugins = [
    "pytester",
    "lumen_conformance.plugin",
    "tests.fixtures.file_order",
    "tests.fixtures.forked_pytest",
    "tests.fixtures.nested_pytest",
    "tests.fixtures.mutations",
    "tests.fixtures.mutant_sample",
    "tests.fixtures.update_option",
]
