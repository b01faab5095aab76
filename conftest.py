"""The fixture plugins of the suite, nothing else. A plugin stands before those that import it."""

pytest_plugins = [
    "pytester",
    "tests.fixtures.run",
    "tests.fixtures.report",
    "tests.fixtures.inner",
    "tests.fixtures.guard",
    "tests.fixtures.targets",
    "tests.fixtures.environments",
    "tests.fixtures.unready",
    "tests.fixtures.audit",
    "tests.fixtures.outside",
    "tests.fixtures.processes",
    "tests.fixtures.squatters",
    "tests.fixtures.gateway",
]
