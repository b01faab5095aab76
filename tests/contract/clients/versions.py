"""The pinned and the installed releases of the clients. Standard library only: ``make clients`` runs this module.

The Python clients have their own environment and run there as scripts, so that their dependencies do not conflict with
those of pytest. The Node clients are installed beside their scripts. LiteLLM requires openai 2, so openai 3 is
installed in a separate folder, which is put before the environment on the module path.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ENVIRONMENT = ROOT / ".venv-clients"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OPENAI_3 = ENVIRONMENT / "openai-3"
NODE = HERE / "node"
LANGUAGES = {"python": "Python", "openai-3": "Python", "node": "Node"}
# The place of installation, and the packages there.
PACKAGES = {
    "python": ("openai", "langchain-openai", "litellm", "llm", "pydantic-ai-slim"),
    "openai-3": ("openai",),
    "node": ("openai", "ai", "@ai-sdk/openai-compatible"),
}
PINS = {"python": ROOT / "constraints-clients.txt", "openai-3": HERE / "python" / "openai-3.txt"}


def pinned(home: str) -> dict[str, str]:
    """The pinned version of each package."""
    if home == "node":
        pins: dict[str, str] = json.loads((NODE / "package.json").read_text("utf-8"))["dependencies"]
        return pins
    lines = PINS[home].read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[\w.-]+==", line))


def installed(home: str) -> dict[str, str]:
    """The installed version of each package; for Python, only when run in the environment of the clients."""
    if home == "node":
        manifests = {name: NODE / "node_modules" / name / "package.json" for name in PACKAGES["node"]}
        return {name: json.loads(path.read_text("utf-8"))["version"] for name, path in manifests.items()}
    folders = [str(OPENAI_3)] if home == "openai-3" else sys.path
    found = importlib.metadata.distributions(path=folders)
    versions = {distribution.metadata["Name"].lower(): distribution.version for distribution in found}
    return {name: versions[name] for name in PACKAGES[home]}


def missing(home: str) -> str | None:
    """Why the clients of this home cannot run, or None."""
    if not PINS["python"].is_file():  # an installed package has no pins of the clients
        return "clients need a clone of the repository: run `make clients` there"
    if home == "node" and not shutil.which("node"):
        return "Node is not on the PATH"
    ready = (NODE / "node_modules" if home == "node" else ENVIRONMENT) / ".ready"
    return None if ready.exists() else f"clients of {LANGUAGES[home]} are not set up: run `make clients`"


def main() -> None:
    """Print the installed releases."""
    node = subprocess.run(["node", "--version"], capture_output=True, encoding="utf-8", timeout=60, check=True)
    interpreters = {"Python": sys.version.split()[0], "Node": node.stdout.strip().removeprefix("v")}
    for home, language in LANGUAGES.items():
        for name, version in installed(home).items():
            print(f"{name} {version} ({language} {interpreters[language]})")  # noqa: T201 -- the output of the command


if __name__ == "__main__":
    main()
