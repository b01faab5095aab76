"""The clients: which releases are pinned, and which are installed. Standard library only: ``make clients`` prints it.

Clients of Python live in an environment of their own and run there as scripts, so that the environment of pytest
stays small and its pins are free of theirs; clients of Node live beside their scripts, as Node wants it. LiteLLM holds
the others at openai 2, so openai 3 has a folder of its own, which goes before the environment on the path.
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
# Home to packages: where they are installed, and by what pins.
PACKAGES = {
    "python": ("openai", "langchain-openai", "litellm", "llm", "pydantic-ai-slim"),
    "openai-3": ("openai",),
    "node": ("openai", "ai", "@ai-sdk/openai-compatible"),
}
PINS = {"python": ROOT / "constraints-clients.txt", "openai-3": HERE / "python" / "openai-3.txt"}


def pinned(home: str) -> dict[str, str]:
    """Package to version, as the project asks for them."""
    if home == "node":
        asked: dict[str, str] = json.loads((NODE / "package.json").read_text("utf-8"))["dependencies"]
        return asked
    lines = PINS[home].read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[\w.-]+==", line))


def installed(home: str) -> dict[str, str]:
    """Package to version, as they are on this machine; those of Python only from within their own environment."""
    if home == "node":
        manifests = {name: NODE / "node_modules" / name / "package.json" for name in PACKAGES["node"]}
        return {name: json.loads(path.read_text("utf-8"))["version"] for name, path in manifests.items()}
    places = [str(OPENAI_3)] if home == "openai-3" else sys.path
    found = importlib.metadata.distributions(path=places)
    versions = {distribution.metadata["Name"].lower(): distribution.version for distribution in found}
    return {name: versions[name] for name in PACKAGES[home]}


def missing(home: str) -> str | None:
    """Why the clients of this home cannot be run here, or None."""
    if home == "node" and not shutil.which("node"):
        return "Node is not on the PATH"
    ready = (NODE / "node_modules" if home == "node" else ENVIRONMENT) / ".ready"
    return None if ready.exists() else f"clients of {LANGUAGES[home]} are not set up: make clients"


def main() -> None:
    """Print what is installed."""
    node = subprocess.run(["node", "--version"], capture_output=True, encoding="utf-8", timeout=60, check=True)
    interpreters = {"Python": sys.version.split()[0], "Node": node.stdout.strip().removeprefix("v")}
    for home, language in LANGUAGES.items():
        for name, version in installed(home).items():
            print(f"{name} {version} ({language} {interpreters[language]})")  # noqa: T201 -- its purpose


if __name__ == "__main__":
    main()
