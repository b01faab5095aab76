"""Tables for people: one instance, all instances, all settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lumen_proxy import config
from lumen_proxy.console import streams
from lumen_proxy.control.advice import on_port
from lumen_proxy.control.lock_holder import find
from lumen_proxy.control.running_settings import SECRET, UNSET, RunningSettings
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.masking import without_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import PortStatus

    Row = dict[str, Any]

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
NOTHING = "-"
NO_INSTANCES = "no instances; start one with: lumen-proxy start"


def format_duration(seconds: float | None) -> str:
    """Two units at most: `3 d 4 h`, `5 min 2 s`."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    units = ((DAY_S, "d", HOUR_S, "h"), (HOUR_S, "h", MINUTE_S, "min"), (MINUTE_S, "min", 1, "s"))
    for size, name, below, name_below in units:
        if whole >= size:
            return f"{whole // size} {name} {whole % size // below} {name_below}"
    return f"{whole} s"


def _cells(status: PortStatus) -> dict[str, str]:
    """The fields of one instance for people; `status` and `ps` show the same ones."""
    sandbox = {True: "on", False: "off", None: NOTHING}[status.sandbox]
    cells = {
        "port": str(status.port),
        "url": status.url,
        "state": status.state or status.condition,
        "pid": NOTHING if status.pid is None else str(status.pid),
        "uptime": format_duration(status.uptime_s),
        "restarts": NOTHING if status.restarts is None else str(status.restarts),
        "gateway": without_query(status.gateway) if status.gateway else NOTHING,
        "sandbox": sandbox,
        "last failure": status.last_failure or NOTHING,
    }
    return {name: streams.replace_unprintable(text) for name, text in cells.items()}


def format_status(status: PortStatus) -> str:
    """One line for each known field."""
    cells = _cells(status)
    more = {
        "hang": status.hang,
        "owner": status.owner,
        "worker pid": status.worker_pid,
        "instance": status.instance,
        "log": status.log,
    }
    cells |= {name: streams.replace_unprintable(str(value)) for name, value in more.items() if value is not None}
    known = {name: text for name, text in cells.items() if text != NOTHING}
    return "\n".join(f"{name:12}  {text}" for name, text in known.items())


def format_instances(rows: Sequence[PortStatus], settings: Settings) -> str:
    """A heading and one line for each instance."""
    if not rows:
        return on_port(NO_INSTANCES, settings)
    cells = [_cells(row) for row in rows]
    table = [[name.upper() for name in cells[0]], *(list(row.values()) for row in cells)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(text.ljust(wide) for text, wide in zip(line, widths, strict=True)).rstrip() for line in table
    )


def shell_settings(settings: Settings) -> list[Row]:
    """Each setting of this shell."""
    rows = []
    for setting in config.SETTINGS:
        value = getattr(settings, setting.field)
        if setting.secret and value:
            value = SECRET
        elif value and setting.is_address:
            value = without_query(value)
        rows.append({"variable": setting.variable, "value": value, "origin": settings.origins[setting.field]})
    return rows


def running_settings(settings: Settings) -> list[Row]:
    """Each setting of the running proxy. Raises Fatal (69) if its settings are not known."""
    holder = find(settings)
    if holder is None:
        raise Fatal(f"no proxy is running on port {settings.port}; see: lumen-proxy ps", Exit.UNAVAILABLE)
    if holder.state is None:
        problem = f"the settings of the proxy on port {settings.port} are not known: its state file is missing"
        raise Fatal(f"{problem}; try again in a minute", Exit.UNAVAILABLE)
    return RunningSettings(holder.state).rows()


def format_settings(rows: Sequence[Row]) -> str:
    """One line for each setting."""
    return "\n".join(f"{row['variable']:26} {_format_value(row['value'])}  [{row['origin']}]" for row in rows)


def _format_value(value: object) -> str:
    return UNSET if value in (None, ()) else config.to_text(value)
