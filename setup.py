"""The packages of the wheel: both products, and the two suites of ``tests`` below ``lumen_conformance.suites``."""

from setuptools import find_packages, setup

SUITES = {f"lumen_conformance.suites.{name}": f"tests/{name}" for name in ("contract", "recovery")}
CLIENTS = {"lumen_conformance.suites.contract.clients": "tests/contract/clients"}

setup(
    packages=[*find_packages(include=["lumen_proxy*", "lumen_conformance*"]), *SUITES, *CLIENTS],
    package_dir=SUITES | CLIENTS,
    package_data={
        "lumen_conformance": ["*.ini", "*.json", "py.typed"],
        "lumen_conformance.report": ["korean.toml", "templates/*"],
        "lumen_conformance.schemas": ["*.json"],
        "lumen_conformance.suites.contract.clients": ["browser/*", "node/*.mjs", "node/package*.json", "python/*"],
        "lumen_proxy": ["py.typed"],
    },
)
