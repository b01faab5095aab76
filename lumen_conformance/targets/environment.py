"""What a launch finds in its environment: our own proxy that of pytest, a foreign server that of whoever called pytest.

A foreign server is left alone: the guard of the suite is not in it, and no setting of the caller is taken away but the
addresses of proxy servers, which would send its calls of the gateway on loopback somewhere else. Settings that a check
has for our own proxy mean nothing to a server with another wire, or something else, so it does not get them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.inject import lumen_guard
from lumen_conformance.processes import evidence_files
from lumen_conformance.registry.redaction import SHORTEST_SECRET_CHARS, hide, hide_configured, redactor, secrets_of
from lumen_conformance.run import TAG, run_of
from lumen_conformance.targets.parsers import PLACEHOLDERS, SUITE_PREFIX
from lumen_conformance.targets.target import HOST, Target, target_of

PROXIES: Final = frozenset(f"{scheme}_PROXY" for scheme in ("ALL", "FTP", "GRPC", "HTTP", "HTTPS", "WS", "WSS"))
OF_PYTEST: Final = frozenset(("PYTEST_VERSION", "PYTEST_CURRENT_TEST"))  # set by pytest itself, for its own children
NO_SECRETS: Final = frozenset((HOST, "localhost"))  # masked, they would garble each address in a report
# Parts of these are no secrets either: such a text stands beside a placeholder that is an address.
ADDRESSES: Final = ("http://", "https://", "/v1/chat/completions", "/v1/models", "/v1/responses")
PLACEHOLDER: Final = re.compile("|".join(map(re.escape, PLACEHOLDERS)))
CANARY: Final = "CLOUD_AI_API_KEY"  # holds a made-up secret, which no answer may show
STATE: Final = "LUMEN_STATE_DIR"  # two launches of a check may share it


def base_environment(target: Target, caller: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of a launch before anything is set in it; `caller`: see `Run.caller`."""
    return clean_caller(caller) if target.foreign else os.environ


def clean_caller(caller: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without proxy servers, and without what a suite around this one has put there."""
    ours = {name for name in caller if name.startswith(SUITE_PREFIX) or name in OF_PYTEST}
    kept = {name: value for name, value in caller.items() if name not in {*ours, *list_proxy_variables(caller)}}
    paths = kept.pop("PYTHONPATH", "").split(os.pathsep)
    theirs = [path for path in paths if not path or Path(path) != Path(lumen_guard.HERE)]
    return kept | ({"PYTHONPATH": os.pathsep.join(theirs)} if any(theirs) else {})


def list_proxy_variables(caller: Mapping[str, str]) -> list[str]:
    """The variables that name proxy servers, in any case."""
    return sorted(name for name in caller if name.upper() in PROXIES)


def select_settings(target: Target, caller: Mapping[str, str], env: Mapping[str, str | None]) -> dict[str, str | None]:
    """What a check may set for one launch: nothing that ``--proxy-env`` names, and no key where the caller has one.

    Of a server with another wire than ours this is the canary and the folder for state, as documented.
    """
    if not target.foreign:
        return dict(env)
    theirs = {*dict(target.variables), *({CANARY} & caller.keys())}
    ours = env.keys() if target.profile == "lumen" else {CANARY, STATE}
    return {name: value for name, value in env.items() if name in ours and name not in theirs}


def find_secrets(target: Target, caller: Mapping[str, str]) -> frozenset[str]:
    """What a foreign server prints and no report shows: its variables, keys in its headers, keys of the caller."""
    told = (*(value for _, value in target.variables), *_keys(target.headers))
    return frozenset().union(*(_secret(target, value) for value in told)) | secrets_of(caller)


def hide_filled_variables(target: Target, environ: Mapping[str, str]) -> None:
    """Mask the values of ``--proxy-env`` that have a secret, as they are in this environment: as a whole."""
    for name, value in target.variables:
        if _secret(target, value):
            hide(environ[name])


def _secret(target: Target, value: str) -> set[str]:
    """The texts of a value between its placeholders; short ones, and those that reports are full of, are no secrets."""
    texts = {text for text in PLACEHOLDER.split(value) if len(text) >= SHORTEST_SECRET_CHARS}
    known = {text for text in texts if any(text in address for address in ADDRESSES)}
    return texts - known - NO_SECRETS - {target.model}


def _keys(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The values of headers whose names say that they are secret; of a scheme and a key, the key, too."""
    for name, value in headers:
        variable = "AUTH" if "authorization" in name.lower() else name.replace("-", "_")
        yield from secrets_of({variable: value}) | secrets_of({variable: value.rpartition(" ")[2]})


@pytest.hookimpl(trylast=True)  # after pytest has made its temporary folder
def pytest_configure(config: pytest.Config) -> None:
    """Mask what a foreign server is given, in everything that is reported."""
    target = target_of(config)
    for secret in find_secrets(target, run_of(config).caller) if target.foreign else ():
        hide_configured(secret)


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Mask the same in all that is kept as evidence of a foreign server."""
    config = session.config
    if target_of(config).foreign and not hasattr(config, "workerinput"):
        evidence_files.mask_all(run_of(config).folder, redactor())


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say by names, never by values, how the environment of a foreign server differs from that of the caller."""
    target = target_of(config)
    if not (target.foreign and target.command):
        return None
    caller = run_of(config).caller
    given = [*target.environ(Path(), ""), TAG, *select_settings(target, caller, {CANARY: ""})]
    removed = [name for name in list_proxy_variables(caller) if name not in given]
    told = f"; removed: {', '.join(removed)}" if removed else ""
    return f"environment of the target: that of this shell; set: {', '.join(given)}{told}"
