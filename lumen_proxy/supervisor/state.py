"""The state file of an instance: it describes the instance for other commands.

The file may be out of date, empty or damaged, or it may name a process that has ended and whose PID belongs to another
process now. Whether an instance runs is decided by its lock (see `instance_lock`).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import LARGEST_PID
from lumen_proxy.supervisor import process_identity
from lumen_proxy.supervisor.listener import LOOPBACKS, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN_FILES = re.compile(r"(?:proxy|ended|restarting)-(\d{1,5})\.(?:json|lock)")
START_TIME_SLACK_S = 1.0  # psutil derives start times from the clock, which drifts; a PID is not reused so fast
READABLE_BY_OWNER = 0o600  # the settings are private to the owner, although secrets are not among them
HANG_FIELDS = (("worker_pid", int), ("since_mono", float), ("watchdog_s", float))
EVENT_FIELDS = ("at", "what", "kind")
SETTING_FIELDS = {"value": (str, type(None)), "origin": (str,), "digest": (str,)}


@dataclass(frozen=True)
class InstanceState:
    """One instance, as its supervisor describes it.

    `start_time` is in seconds since the epoch and kept for older releases. `start_stamp` is the start on a scale that
    a clock change does not move (see `process_identity`). `phase` is that of the supervisor's loop. `settings` is
    described in `settings_record`. `last_failure` is the last unexpected event, `ended` the reason of an unexpected
    end; both have `at` (ISO 8601, UTC) and `what`. `hang` describes a worker that is silent now: its PID, the time of
    its last sign of life on the monotonic clock, which all processes share, and LUMEN_WATCHDOG_S.

    Older releases do not write the fields that have a default. Fields of newer releases are ignored.
    """

    instance: str
    pid: int
    start_time: float
    host: str
    hosts: tuple[str, ...]
    port: int
    generation: int
    url: str
    drain_s: float
    gateway_url: str
    cloud_ai_url: str
    sandbox: bool
    start_stamp: float | None = None
    phase: str = "serving"
    restarts: int = 0
    version: str | None = None
    log: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    last_failure: dict[str, str] | None = None
    ended: dict[str, str] | None = None
    hang: dict[str, Any] | None = None


def state_path(state_dir: Path, port: int) -> Path:
    """The state file of a port."""
    return state_dir / f"proxy-{port}.json"


def end_path(state_dir: Path, port: int) -> Path:
    """The record of an unexpected end: a state file with `ended`, kept until the next start succeeds."""
    return state_dir / f"ended-{port}.json"


def restart_path(state_dir: Path, port: int) -> Path:
    """The record of a restart in progress: the state of the instance that it stops (see `control.restart_record`)."""
    return state_dir / f"restarting-{port}.json"


def known_ports(state_dir: Path) -> list[int]:
    """The ports that the files of this program in the folder name."""
    try:
        names = [path.name for path in state_dir.iterdir()]
    except OSError:
        return []
    return sorted({int(match[1]) for name in names if (match := OWN_FILES.fullmatch(name))})


def write(path: Path, state: InstanceState) -> None:
    """Replace the state file in one step: a reader sees the old or the new content. Raises OSError."""
    draft = path.with_suffix(f".{state.pid}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, READABLE_BY_OWNER)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
            json.dump(asdict(state), file)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read(path: Path) -> InstanceState | None:
    """The content of a state file; None if the file is missing, damaged or not one of this program."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = {name: fields[name] for name in TYPES if name in fields}
        if not all(type(value) in TYPES[name] for name, value in known.items()) or not _is_valid(known):
            return None
        state = InstanceState(**known | {"hosts": tuple(known["hosts"])})
    except (OSError, ValueError, AttributeError, KeyError, TypeError):  # missing, damaged, or fields are missing
        return None
    return state if path.stem.endswith(f"-{state.port}") else None


def _json_types(hint: Any) -> set[type]:  # noqa: ANN401 - a type or a union of types
    """The types that json.loads() makes of a field with this annotation."""
    choices = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    plain = {get_origin(choice) or choice for choice in choices}
    return {list if kind is tuple else kind for kind in plain}


TYPES = {name: _json_types(hint) for name, hint in get_type_hints(InstanceState).items()}


def _is_valid(fields: dict[str, Any]) -> bool:
    """True if the values are possible: the file may have been edited. Their types are already checked."""
    return (
        0 < fields["pid"] <= LARGEST_PID
        and math.isfinite(fields["drain_s"])
        and all(isinstance(host, str) for host in fields["hosts"])
        and fields["url"] in _own_urls(fields["host"], fields["port"])
        and _is_settings_record(fields.get("settings") or {})
        and all(_is_event(fields.get(name) or {}) for name in ("last_failure", "ended"))
        and _is_hang(fields.get("hang") or {})
    )


def _own_urls(host: str, port: int) -> set[str]:
    """The possible addresses of an instance on this machine; a command must not send requests to any other."""
    return {url_of(one, port) for one in (LOOPBACKS if host == "localhost" else (host,))}


def _is_event(event: dict[str, Any]) -> bool:
    return all(isinstance(event.get(name, ""), str) for name in EVENT_FIELDS)


def _is_hang(hang: dict[str, Any]) -> bool:
    return not hang or all(type(hang.get(name)) is kind and math.isfinite(hang[name]) for name, kind in HANG_FIELDS)


def _is_settings_record(settings: dict[str, Any]) -> bool:
    """See `settings_record`. An older release writes none."""
    values = settings.get("values", {})
    if not isinstance(settings.get("salt", ""), str) or not isinstance(values, dict):
        return False
    return all(map(_is_setting, values.values()))


def _is_setting(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return all(isinstance(entry[name], types) for name, types in SETTING_FIELDS.items() if name in entry)


def is_alive(state: InstanceState) -> bool:
    """True if the process that wrote the state file still runs."""
    if state.start_stamp is not None:
        return process_identity.is_same_start(state.start_stamp, process_identity.start_stamp(state.pid))
    started = process_identity.start_time(state.pid)  # a state file of an older release
    return started is not None and abs(started - state.start_time) <= START_TIME_SLACK_S


def read_left(state_dir: Path, port: int) -> InstanceState | None:
    """The state file of an instance that ended without removing it: it was killed, or the machine went down."""
    left = read(state_path(state_dir, port))
    return left if left and not is_alive(left) else None


@contextlib.contextmanager
def require_writable(directory: Path, variable: str) -> Iterator[None]:
    """Turn an OSError of the block into Fatal (73) that names the directory and the variable that moves it."""
    try:
        yield
    except OSError as error:
        problem = f"cannot write in {directory}: {error.strerror}"
        raise Fatal(f"{problem}; make it writable or set {variable}", Exit.CANNOT_CREATE) from error
