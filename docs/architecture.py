"""The drawing of the layers and the table of sizes in docs/architecture.md; `docs.readme` writes them.

The layers are those that import-linter holds (pyproject.toml). The sizes are lines of code: without blank lines,
comments and docstrings.
"""

from __future__ import annotations

import ast
import io
import tokenize
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
PROXY: Final = "lumen_proxy"
NAMES: Final = {"lumen_conformance": "the suite", PROXY: "the proxy"}
MEANING: Final = {
    "__main__": "entry point",
    "cli": "commands and options",
    # The suite.
    "plugin": "pytest options and hooks",
    "contract": "session with a target, shared exchanges",
    "stages": "stage once, evidence record",
    "isolation": "no network beyond this machine",
    "targets": "a command, a URL, or our proxy",
    "checks": "judges: pure functions",
    "gateway": "the scripted gateway",
    "processes": "launch, process tree, leak audit",
    "report": "results, HTML, JUnit, verdicts, records",
    "run": "identity of a run",
    "http": "capture, server-sent events, strict JSON",
    "registry": "declaration of checks, measurements, redaction",
    "schemas": "JSON Schemas with examples",
    "waiting": "wait with a deadline",
    "ports": "reserved ports",
    "inject": "guard and mutations in child processes",
    "suites": "where the suites are",
    "examples": "a server to try the suite on",
    # The proxy.
    "monitor": "dashboard, watch, alerts",
    "health": "probes, diagnosis",
    "control": "start, stop, restart, status",
    "sandbox": "embedded gateway",
    "worker": "app, chat, access, limits; http, upstream",
    "supervisor": "loop, spawn, listener, back-off",
    "logs": "journal, rotation, reader",
    "net": "names, proxies, TLS",
    "ipc": "messages between supervisor and worker",
    "console": "terminal output",
    "wire": "openai, lumen, folding",
    "config": "settings",
    "platform": "operating systems",
    "import_failure": "failed imports in one line",
    "safe_path": "nothing of the current folder",
    "dependencies": "declared dependencies",
    "masking": "hidden parts of addresses",
    "threads": "a call with a limit",
    "errors": "Fatal, ApiError",
}
"""Package or module → what it has, for the drawing."""

REASONS: Final = {
    "health": "probes and verdicts of each channel, and the seven known issues: what `diagnose` prints",
    "supervisor": "keeps the listening sockets while workers die; writes the records by which other commands find an "
    "instance: lock, state, settings, identity of the process",
    "control": "`start`, `stop`, `restart` and `status`, with a restart that keeps the settings",
    "wire": "the protocols as pure functions: requests, answers, streams, errors, Host and Origin",
    "net": "the one way to an address for worker, probes and alerts: a deadline that includes the look-up of the name, "
    "Happy Eyeballs, `*_PROXY`, certificates, an end from another thread",
    "worker": "routes, access, limits and metrics; the one place where an error becomes a response",
    "worker/http": "what waitress lacks: errors in the envelope, one deadline for a head, first bytes that are no HTTP",
    "worker/upstream": "calls of the gateway: pool, retry of what was not written, circuit breaker, fallback",
    "cli": "the commands and their options",
    "monitor": "the dashboard, `watch` and the alerts",
    "config": "the settings as one table of data with parsers and meanings; docs and help are made of it",
    "console": "widths of Korean texts, old code pages, keys, written by hand (ADR 7)",
    "logs": "journal and logs of several processes, with limits on size and age, read as one",
    "sandbox": "a gateway in the process, for a first try without a network",
    "platform": "the differences between Linux, macOS and Windows",
}
"""Package, or module of more than 100 lines → why it has its lines: what it does that nothing else does."""
TOOLS: Final = ("cli", "monitor", "health", "control", "sandbox", "console")
"""Packages for people at a terminal. A worker that serves imports none of them."""
LEAST_LINES: Final = 100  # smaller modules of the root are one row


def layers(package: str) -> list[list[str]]:
    """Return the layers of a package, the top first, each with its packages and modules."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in settings["contracts"] if each.get("containers") == [package])
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def drawing(package: str) -> Iterator[str]:
    """Yield the layers of a package as a drawing in Mermaid."""
    yield from ("```mermaid", "flowchart TB", f'  subgraph {package}["{package}: {NAMES[package]}"]')
    nodes = [f"layer{number}" for number, _ in enumerate(layers(package))]
    if missing := {name for names in layers(package) for name in names} - set(MEANING):
        raise ValueError(f"docs/architecture.py has no meaning for {', '.join(sorted(missing))}: add it to MEANING")
    for node, names in zip(nodes, layers(package), strict=True):
        yield f'    {node}["{"<br/>".join(f"<b>{name}</b> {MEANING[name]}" for name in names)}"]'
    yield from (f"    {' --> '.join(nodes)}", "  end", "```")


def sizes() -> Iterator[str]:
    """Yield the table of the packages of the proxy with their lines of code."""
    lines = Counter[str]()
    for path in sorted((ROOT / PROXY).rglob("*.py")):
        lines[_row_of(path)] += lines_of_code(path.read_text("utf-8"))
    small = {name: number for name, number in lines.items() if name not in REASONS}
    if large := [name for name, number in small.items() if number > LEAST_LINES or (ROOT / PROXY / name).is_dir()]:
        raise ValueError(f"docs/architecture.py has no reason for {', '.join(large)}: add it to REASONS")
    yield from ("| package or module | lines | why it has them |", "|---|---|---|")
    for name in sorted(REASONS, key=lambda name: (-lines[name], name)):
        yield f"| `{name}` | {lines[name]:,} | {REASONS[name]} |"
    yield f"| {_quoted(sorted(small))} | {sum(small.values()):,} | one idea each, see the drawing |"
    tools = sum(lines[name] for name in TOOLS)
    yield f"| **all** | **{lines.total():,}** | |"
    yield f"| **without {_quoted(TOOLS)}** | **{lines.total() - tools:,}** | what serves |"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row_of(path: Path) -> str:
    """Return the row of a file: its folder, or the module itself in the root of the package."""
    inside = path.relative_to(ROOT / PROXY)
    return inside.parent.as_posix() if inside.parent.name else inside.stem


def lines_of_code(source: str) -> int:
    """Return the number of lines of a module, without blank lines, comments and docstrings."""
    code: set[int] = set()
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            code.difference_update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(code)
