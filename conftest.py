"""The fixture plugins of the suite, nothing else."""

pytest_plugins = ["tests.fixtures.report"]
