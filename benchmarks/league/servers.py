"""The servers of the league: what is installed, and what pytest is told about each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from league.launching import KEY

ROOT = Path(__file__).resolve().parents[2]
VIEWS = Path(__file__).parent / "views"


@dataclass(frozen=True)
class Server:
    """One server of the league.

    ``pins``       what is installed, by pip or by npm; the first is the server itself
    ``options``    what pytest is told about it
    ``npm``        whether it is npm's
    ``overrides``  versions of what it depends on (npm)
    """

    name: str
    title: str
    pins: tuple[str, ...]
    options: tuple[str, ...]
    npm: bool = False
    overrides: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ROOT / f".venv-league-{self.name}"

    @property
    def version(self) -> str:
        """The version of the server itself."""
        return re.split(r"==|(?<=.)@", self.pins[0])[-1]

    @property
    def views(self) -> str:
        """What its own documentation, or its code, says about what the suite has found."""
        return (VIEWS / f"{self.name}.md").read_text("utf-8").strip()


SERVERS = (
    Server(
        "litellm",
        "LiteLLM proxy",
        ("litellm[proxy]==1.106.2",),
        ("--proxy-health-path=/health/liveliness", f"--proxy-api-key={KEY}", "--proxy-can=models,n,tools"),
    ),
    Server(
        "lm-proxy",
        "lm-proxy",
        ("lm-proxy==3.3.2",),
        ("--proxy-health-path=none", f"--proxy-api-key={KEY}", "--proxy-can=models,n,tools,auth"),
    ),
    Server(
        "portkey",
        "Portkey gateway",
        ("@portkey-ai/gateway@1.15.2",),
        (
            "--proxy-health-path=/",
            f"--proxy-api-key={KEY}",
            "--proxy-can=models,n,tools",
            "--proxy-header=x-portkey-provider: openai",
            "--proxy-header=x-portkey-custom-host: {gateway_url}/v1",
        ),
        npm=True,
        overrides={"@hono/node-server": "1.13.8"},
    ),
)
