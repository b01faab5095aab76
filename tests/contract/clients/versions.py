"""The clients: which releases are pinned, and which are installed. Standard library only: ``make clients`` prints it.

Clients of Python live in an environment of their own and run there as scripts, so that the environment of pytest
stays small and its pins are free of theirs; clients of Node live beside their scripts, as Node wants it.
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
NODE = HERE / "node"
PACKAGES = {
    "python": ("openai", "langchain-openai", "litellm", "llm", "pydantic-ai-slim"),
    "node": ("openai", "ai", "@ai-sdk/openai-compatible"),
}


def pinned(language: str) -> dict[str, str]:
    """Package to version, as the project asks for them."""
    if language == "node":
        asked: dict[str, str] = json.loads((NODE / "package.json").read_text("utf-8"))["dependencies"]
        return asked
    lines = (ROOT / "constraints-clients.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[\w.-]+==", line))


def installed(language: str) -> dict[str, str]:
    """Package to version, as they are on this machine; those of Python only from within their own environment."""
    if language == "python":
        return {name: importlib.metadata.version(name) for name in PACKAGES["python"]}
    manifests = {name: NODE / "node_modules" / name / "package.json" for name in PACKAGES["node"]}
    return {name: json.loads(path.read_text("utf-8"))["version"] for name, path in manifests.items()}


def missing(language: str) -> str | None:
    """Why the clients of this language cannot be run here, or None."""
    if language == "node" and not shutil.which("node"):
        return "Node is not on the PATH"
    ready = {"python": ENVIRONMENT, "node": NODE / "node_modules"}[language] / ".ready"
    if not ready.exists():
        return f"the clients of {language} are not set up: make clients"
    return None


def main() -> None:
    """Print what is installed."""
    node = subprocess.run(["node", "--version"], capture_output=True, encoding="utf-8", timeout=60, check=True)
    languages = {"python": sys.version.split()[0], "node": node.stdout.strip().removeprefix("v")}
    for language, release in languages.items():
        for name, version in installed(language).items():
            print(f"{name} {version} ({language} {release})")  # noqa: T201 -- its purpose


if __name__ == "__main__":
    main()
