"""Tables for people: one instance, all instances, all settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lumen_proxy import config as settings_table
from lumen_proxy.control.instances import find
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.known_issues import on_port
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor.recorded_settings import Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumen_proxy.config import Settings
    from lumen_proxy.control.instances import Seen

    Row = dict[str, Any]

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
NOTHING = "-"
NO_INSTANCES = "no instances; start one with: lumen-proxy start"


def duration(seconds: float | None) -> str:
    """Two units at most: `3 d 4 h`, `5 min 2 s`."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    units = ((DAY_S, "d", HOUR_S, "h"), (HOUR_S, "h", MINUTE_S, "min"), (MINUTE_S, "min", 1, "s"))
    for size, name, below, name_below in units:
        if whole >= size:
            return f"{whole // size} {name} {whole % size // below} {name_below}"
    return f"{whole} s"


def _cells(seen: Seen) -> dict[str, str]:
    """The fields of one instance as people read them; the same ones in `status` and in `ps`."""
    sandbox = {True: "on", False: "off", None: NOTHING}[seen.sandbox]
    cells = {
        "port": str(seen.port),
        "url": seen.url,
        "state": seen.state or seen.condition,
        "pid": NOTHING if seen.pid is None else str(seen.pid),
        "uptime": duration(seen.uptime_s),
        "restarts": NOTHING if seen.restarts is None else str(seen.restarts),
        "gateway": without_query(seen.gateway) if seen.gateway else NOTHING,
        "sandbox": sandbox,
        "last failure": seen.last_failure or NOTHING,
    }
    return {name: _printable(text) for name, text in cells.items()}


def status(seen: Seen) -> str:
    """One line for each field that is known."""
    cells = _cells(seen)
    more = {"owner": seen.owner, "worker pid": seen.worker_pid, "instance": seen.instance, "log": seen.log}
    cells |= {name: _printable(str(value)) for name, value in more.items() if value is not None}
    known = {name: text for name, text in cells.items() if text != NOTHING}
    return "\n".join(f"{name:12}  {text}" for name, text in known.items())


def instances(rows: Sequence[Seen], settings: Settings) -> str:
    """One line for each instance, below a line of names."""
    if not rows:
        return on_port(NO_INSTANCES, settings)
    cells = [_cells(seen) for seen in rows]
    table = [[name.upper() for name in cells[0]], *(list(row.values()) for row in cells)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(text.ljust(wide) for text, wide in zip(line, widths, strict=True)).rstrip() for line in table
    )


def settings_of(settings: Settings) -> list[Row]:
    """Every setting of this shell."""
    rows = []
    for setting in settings_table.SETTINGS:
        value = getattr(settings, setting.field)
        if setting.secret and value:
            value = "(secret)"
        elif value and setting.is_address:
            value = without_query(value)
        rows.append({"variable": setting.variable, "value": value, "origin": settings.origins[setting.field]})
    return rows


def settings_of_the_running(settings: Settings) -> list[Row]:
    """Every setting that the running proxy was started with. Raises Fatal (69) if that is not known."""
    found = find(settings)
    if found is None or found.known is None:
        problem = f"no running proxy is known on port {settings.port}"
        raise Fatal(f"{problem}; see: lumen-proxy ps", Exit.UNAVAILABLE)
    return Recorded(found.known).rows()


def config(rows: Sequence[Row]) -> str:
    """One line for each setting."""
    return "\n".join(f"{row['variable']:26} {_typed(row['value'])}  [{row['origin']}]" for row in rows)


def _typed(value: object) -> str:
    return "(none)" if value in (None, ()) else settings_table.to_text(value)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
