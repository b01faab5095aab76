"""The supervised servers: how each is installed and started, and what it can do.

The application is `tests.fixtures.foreign.wsgi` or `.asgi`, or a cluster of Node. Options are those that the server's
own documentation gives for production; where a default is changed, a comment has the reason. ``unlimited`` is for
kills in a row, which a supervisor may take for a crash loop.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-league-supervisors"
LITELLM = ROOT / ".venv-league-litellm"
WSGI, ASGI = "tests.fixtures.foreign.wsgi:application", "tests.fixtures.foreign.asgi:application"
FOREIGN = ROOT / "tests" / "fixtures" / "foreign"
THREADS = "32"  # more than the clients of the kills, so that no server is slow by its settings
PINS = ("gunicorn==27.0.1", "uvicorn==0.54.0", "granian==2.8.9", "supervisor==4.3.0", "circus==0.19.0")
CAN = "health,restart,drain"
ORPHANS = f"{CAN},orphans"
KEY = "sk-league"  # LiteLLM's proxy does not start without one
MODEL = "gpt-4o-mini"


@dataclass(frozen=True)
class Place:
    """Where one launch has its files, its port and its gateway; whether restarts are unlimited."""

    folder: Path
    host: str
    port: str
    gateway_url: str
    unlimited: bool = False

    def write(self, name: str, text: str) -> str:
        """Write a file of the launch; return its path."""
        (self.folder / name).write_text(text, "utf-8")
        return str(self.folder / name)


@dataclass(frozen=True)
class SupervisedServer:
    """One row of the table.

    ``pin``        the distribution whose version the table shows; empty for ours, for a shell and for Node
    ``command``    its command line at a place
    ``can``        what it declares to the suite
    ``note``       what a reader must know about its settings
    ``variables``  more variables of its environment
    ``crash_word`` a part of the command line of a worker that does not run our application
    ``rest_s``     seconds between two kills, where a supervisor has a fixed limit
    ``hang_timeout_s`` the time within which it replaces a worker that hangs; 0: it does not declare that it does
    ``most_kills`` fewer kills, for a server that starts slowly
    ``rest_event`` the event of the journal of our proxy that each kill waits for
    """

    name: str
    title: str
    command: Callable[[Place], list[str]]
    pin: str = ""
    can: str = CAN
    note: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = False
    health_path: str = "/health"
    api_key: str = ""
    crash_word: str = ""
    rest_s: float = 0.0
    rest_event: str = ""
    most_kills: int = 1_000
    hang_timeout_s: float = 0.0

    @property
    def version(self) -> str:
        """The version of the supervisor."""
        return self.pin.partition("==")[2]


def _gunicorn(workers: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        where = ["--bind", f"{place.host}:{place.port}", "--no-control-socket"]  # or all launches share one of the user
        return [_script("gunicorn"), *where, "--workers", str(workers), "--threads", THREADS, WSGI]

    return command


def _uvicorn(place: Place) -> list[str]:
    return [*_uvicorn_alone(), "--host", place.host, "--port", place.port, "--workers", "2"]


def _uvicorn_alone() -> list[str]:
    return [_script("uvicorn"), ASGI, "--no-access-log"]


def _granian(place: Place) -> list[str]:
    where = ["--host", place.host, "--port", place.port]
    return [_script("granian"), "--interface", "asgi", *where, "--workers", "1", "--respawn-failed-workers", ASGI]


def _supervisord(place: Place, section: str, command: list[str]) -> list[str]:
    lines = [
        "[supervisord]", "nodaemon=true", "logfile=/dev/null", "logfile_maxbytes=0",
        f"pidfile={place.folder / 'supervisord.pid'}", section, f"command={' '.join(command)}", "autorestart=true",
        "stdout_logfile=NONE", "stderr_logfile=NONE",
    ]  # fmt: skip
    lines += ["startsecs=0"] if place.unlimited else []  # or a program that ends within 1 s counts as never started
    return [_script("supervisord"), "--configuration", place.write("supervisord.conf", "\n".join(lines) + "\n")]


def _supervisord_program(place: Place) -> list[str]:
    command = [*_uvicorn_alone(), "--host", place.host, "--port", place.port]
    return _supervisord(place, "[program:chat]", command)


def _supervisord_socket(place: Place) -> list[str]:
    section = f"[fcgi-program:chat]\nsocket=tcp://{place.host}:{place.port}"
    return _supervisord(place, section, [*_uvicorn_alone(), "--fd", "0"])


def _supervisord_litellm(place: Place) -> list[str]:
    behind = {"model": f"openai/{MODEL}", "api_base": f"{place.gateway_url}/v1", "api_key": "sk-of-the-gateway"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": KEY},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    written = place.write("litellm.yaml", json.dumps(config))  # JSON is YAML
    where = ["--config", written, "--host", place.host, "--port", place.port, "--telemetry", "False"]
    return _supervisord(place, "[program:litellm]", [str(LITELLM / "bin" / "litellm"), *where])


def _circus(place: Place) -> list[str]:
    command = " ".join([*_uvicorn_alone(), "--fd", "$(circus.sockets.web)"])
    name = f"circus-{place.port}"  # an abstract socket of Linux: a path in a deep folder is too long for a socket
    lines = [
        "[circus]", f"endpoint=ipc://@{name}-c", f"pubsub_endpoint=ipc://@{name}-p",
        "[watcher:chat]", f"cmd={command}", "use_sockets=true", "copy_env=true", "numprocesses=1",
        *(["max_retry=-1"] if place.unlimited else []),
        "[socket:web]", f"host={place.host}", f"port={place.port}",
    ]  # fmt: skip
    return [_script("circusd"), place.write("circus.ini", "\n".join(lines) + "\n")]


def _loop(place: Place) -> list[str]:
    return ["sh", str(FOREIGN / "loop.sh"), *_uvicorn_alone(), "--host", place.host, "--port", place.port]


def _node(place: Place) -> list[str]:
    return [shutil.which("node") or "node", str(FOREIGN / "cluster.mjs"), place.host, place.port]


def _ours(place: Place) -> list[str]:
    return [sys.executable, "-m", "lumen_proxy", "serve", "--port", place.port]


def _proxy(name: str, standby: str, title: str) -> SupervisedServer:
    return SupervisedServer(
        name, title, _ours, is_ours=True, variables={"LUMEN_STANDBY": standby}, crash_word="lumen_proxy.worker",
        rest_event="standby_ready" if standby == "1" else "",
        note="each kill waits until the standby is ready" if standby == "1" else "",
    )  # fmt: skip


SERVERS = (
    _proxy("ours", "1", "Lumen proxy, standby on"),
    _proxy("ours-alone", "0", "Lumen proxy, standby off"),
    SupervisedServer("gunicorn-1", "gunicorn, 1 worker", _gunicorn(1), PINS[0], ORPHANS, hang_timeout_s=40.0),
    SupervisedServer("gunicorn-2", "gunicorn, 2 workers", _gunicorn(2), PINS[0], ORPHANS),
    SupervisedServer("uvicorn-2", "uvicorn, 2 workers", _uvicorn, PINS[1], hang_timeout_s=20.0),
    SupervisedServer(
        "granian", "granian, 1 worker", _granian, PINS[2],
        note="`--respawn-failed-workers` is off by default; the server ends when a worker dies within 5.5 s after a "
        "respawn, so 6 s pass between two kills",
        rest_s=6.0,
    ),
    SupervisedServer("supervisord", "supervisord, a program", _supervisord_program, PINS[3]),
    SupervisedServer(
        "supervisord-socket", "supervisord, a program with its socket", _supervisord_socket, PINS[3],
        note="`[fcgi-program:…]` holds the listening socket; uvicorn gets it by `--fd 0`",
    ),
    SupervisedServer("circus", "circus, a watcher with its socket", _circus, PINS[4]),
    SupervisedServer("loop", "a loop, as systemd's Restart=always", _loop),
    SupervisedServer("node", "Node cluster, 2 workers", _node, can=ORPHANS),
)  # fmt: skip
SLOW = (
    SupervisedServer(
        "litellm", "LiteLLM proxy under supervisord", _supervisord_litellm, "litellm[proxy]==1.106.2",
        variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, health_path="/health/liveliness", api_key=KEY,
        crash_word="bin/litellm", most_kills=10,
    ),
)  # fmt: skip
ALL = (*SERVERS, *SLOW)


def server_of(name: str) -> SupervisedServer:
    """Return the server of this name; raises StopIteration."""
    return next(each for each in ALL if each.name == name)


def _script(name: str) -> str:
    return str(ENVIRONMENT / "bin" / name)
