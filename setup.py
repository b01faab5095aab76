"""The packages of the wheel: both products, and the two suites of ``tests`` below ``lumen_conformance.suites``."""

import sys

from setuptools import find_packages, setup

SUITES = {f"lumen_conformance.suites.{name}": f"tests/{name}" for name in ("contract", "recovery")}
CLIENTS = {"lumen_conformance.suites.contract.clients": "tests/contract/clients"}

# In a clone the suites are found in `tests`. Without the mapping, the path of the clone is enough: each start of Python
# would take 15 ms more for an import hook.
EDITABLE = "editable_wheel" in sys.argv
MAPPED = {} if EDITABLE else SUITES | CLIENTS

setup(
    packages=[*find_packages(include=["lumen_proxy*", "lumen_conformance*"]), *MAPPED],
    package_dir={"": "."} | MAPPED,
    package_data={
        "lumen_conformance": ["*.ini", "*.json", "py.typed"],
        "lumen_conformance.report": ["templates/*"],
        "lumen_conformance.schemas": ["*.json"],
        "lumen_conformance.suites.contract.clients": ["browser/*", "node/*.mjs", "node/package*.json", "python/*"],
        "lumen_proxy": ["py.typed"],
    },
)
