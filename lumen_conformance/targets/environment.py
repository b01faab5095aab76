"""The environment of a launch: that of pytest for our own proxy, that of the user's shell for a foreign server.

A foreign server runs without the guard of the suite. It gets all variables of the caller but the addresses of proxy
servers, which would redirect its requests to the gateway on loopback. Settings that a check has for our own proxy have
no meaning, or another one, for a server with another profile, so it does not get them.
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
from lumen_conformance.registry.redaction import (
    SHORTEST_SECRET_CHARS,
    hide,
    hide_configured,
    is_secret_name,
    redactor,
    secrets_in_command,
    secrets_of,
)
from lumen_conformance.report.under_test import OPTIONS, TARGET
from lumen_conformance.run import TAG, run_of
from lumen_conformance.targets.options import API_KEY_VARIABLE, options_again
from lumen_conformance.targets.parsers import PLACEHOLDERS, SUITE_PREFIX
from lumen_conformance.targets.target import HOST, Target, target_of

HARMLESS_VALUES: Final = ("application/json", "text/event-stream")
PROXIES: Final = frozenset(f"{scheme}_PROXY" for scheme in ("ALL", "FTP", "GRPC", "HTTP", "HTTPS", "WS", "WSS"))
OF_PYTEST: Final = frozenset(("PYTEST_VERSION", "PYTEST_CURRENT_TEST"))  # pytest sets them for its children
# A mask would make each address in a report unreadable, and the name of each profile.
NO_SECRETS: Final = frozenset((HOST, "localhost", "openai", *HARMLESS_VALUES))
# Parts of these are no secrets either: they stand beside a placeholder for an address.
ADDRESSES: Final = ("http://", "https://", "/v1/chat/completions", "/v1/models", "/v1/responses")
PLACEHOLDER: Final = re.compile("|".join(map(re.escape, PLACEHOLDERS)))
# Headers of requests that are no credentials (RFC 9110, RFC 9111, W3C Trace Context).
HARMLESS_HEADERS: Final = frozenset((
    "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection", "content-encoding",
    "content-language", "content-length", "content-type", "date", "expect", "from", "host", "origin", "pragma",
    "referer", "te", "traceparent", "tracestate", "user-agent", "via",
))  # fmt: skip
CANARY: Final = "CLOUD_AI_API_KEY"  # its value is a made-up secret, which no answer may show
STATE_DIR: Final = "LUMEN_STATE_DIR"  # two launches of a check may share it


def base_environment(target: Target, caller: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment of a launch before the suite sets variables; `caller`: see `Run.caller`."""
    return clean_caller(caller) if target.foreign else os.environ


def clean_caller(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment without proxy servers, and without variables of an outer run of the suite."""
    of_suite = {name for name in caller if name.startswith(SUITE_PREFIX) or name in OF_PYTEST}
    kept = {name: value for name, value in caller.items() if name not in {*of_suite, *list_proxy_variables(caller)}}
    paths = kept.pop("PYTHONPATH", "").split(os.pathsep)
    kept.pop(API_KEY_VARIABLE, None)  # it is for the suite
    kept_paths = [path for path in paths if not path or Path(path) != Path(lumen_guard.HERE)]
    return kept | ({"PYTHONPATH": os.pathsep.join(kept_paths)} if any(kept_paths) else {})


def list_proxy_variables(caller: Mapping[str, str]) -> list[str]:
    """Return the variables that name proxy servers, in upper or lower case."""
    return sorted(name for name in caller if name.upper() in PROXIES)


def select_settings(target: Target, caller: Mapping[str, str], env: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what a check sets for one launch: nothing that ``--proxy-env`` names, and no key if the caller has one.

    A server with another profile gets only the canary and the folder for state, as documented.
    """
    if not target.foreign:
        return dict(env)
    of_user = {*dict(target.variables), *({CANARY} & caller.keys())}
    allowed = env.keys() if target.profile == "lumen" else {CANARY, STATE_DIR}
    return {name: value for name, value in env.items() if name in allowed and name not in of_user}


def find_secrets(target: Target, caller: Mapping[str, str]) -> frozenset[str]:
    """Return what no report shows: the variables of the target, its headers, keys in its command and of the caller."""
    in_command = secrets_in_command(target.command)
    values = (*(value for _, value in target.variables), *_header_values(target.headers), *in_command)
    return frozenset().union(*(_secret(target, value) for value in values)) | secrets_of(caller)


def hide_filled_variables(target: Target, environ: Mapping[str, str]) -> None:
    """Mask the whole values of ``--proxy-env`` that contain a secret, as they are in this environment."""
    for name, value in target.variables:
        if _secret(target, value):
            hide(environ[name])


def _secret(target: Target, value: str) -> set[str]:
    """Return the secret texts between the placeholders of a value: no short texts, and no parts of addresses."""
    texts = {text for text in PLACEHOLDER.split(value) if len(text) >= SHORTEST_SECRET_CHARS}
    known = {text for text in texts if any(text in address for address in ADDRESSES)}
    return texts - known - NO_SECRETS - {target.model}


def _header_values(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the values of headers but harmless ones; of one with the name of a secret also the key after its scheme."""
    for name, value in headers:
        if name.lower() not in HARMLESS_HEADERS:
            yield value
        if "authorization" in name.lower() or is_secret_name(name):
            yield value.rpartition(" ")[2]


def configure(config: pytest.Config) -> None:
    """Mask the secrets of a foreign server in every report, and in its description."""
    target = target_of(config)
    for secret in find_secrets(target, run_of(config).caller) if target.foreign else ():
        hide_configured(secret)
    if TARGET in config.stash:
        config.stash[TARGET] = redactor().text(config.stash[TARGET])
    if target.foreign:  # a merge has the options of its records
        config.stash[OPTIONS] = options_again(config)


def mask_evidence(session: pytest.Session) -> None:
    """Mask them in the evidence of a foreign server, too."""
    config = session.config
    if target_of(config).foreign and not hasattr(config, "workerinput"):
        evidence_files.mask_all(run_of(config).folder, redactor())


def list_own_folders(config: pytest.Config) -> frozenset[Path]:
    """Return the folders in which only the suite writes.

    The current folder belongs to the user and to a foreign target, which runs in it: a new file there proves nothing.
    """
    current = frozenset({config.invocation_params.dir})
    return frozenset({config.rootpath}) - current if target_of(config).foreign else current | {config.rootpath}


def header_line(config: pytest.Config) -> str | None:
    """Name the variables that a foreign server has or lacks beside those of the caller, without their values."""
    target = target_of(config)
    if not (target.foreign and target.command):
        return None
    caller = run_of(config).caller
    given = [*target.environ(Path(), ""), TAG, *select_settings(target, caller, {CANARY: ""})]
    removed = [name for name in list_proxy_variables(caller) if name not in given]
    removal = f"; removed: {', '.join(removed)}" if removed else ""
    return f"environment of the target: that of this shell; set: {', '.join(given)}{removal}"
