"""Squatters hold their port as their kind says, run until they are stopped, and release it."""

import sys

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.stages.observations import is_port_free


@pytest.mark.parametrize("kind", ["banner", "wildcard", "ipv6"])
def test_banner_is_its_own(squat: Squatters, kind: SquatterKind) -> None:
    """A squatter answers with kind and PID, which no other process has."""
    squatter = squat(kind)
    assert squatter.answer() == squatter.banner == f"squatter {kind} {squatter.pid}"
    assert squatter.is_running()


def test_silent_squatter_accepts_and_does_not_answer(squat: Squatters) -> None:
    """A connect succeeds; an answer never comes."""
    squatter = squat("silent")
    assert call(squatter.url, "GET", "/health", timeout_s=0.2).ended == "timeout"


def test_the_health_of_another_proxy(squat: Squatters) -> None:
    """The health of another proxy is like ours, with another instance."""
    health = call(squat("lumen_stranger").url, "GET", "/health").json()
    assert (health["status"], health["service"], health["instance"]) == ("ok", "lumen-proxy", "somebody-elses")


def test_squatter_that_never_listens(squat: Squatters) -> None:
    """It is bound, but a connect is refused."""
    assert call(squat("not_listening").url, "GET", "/").ended == "refused"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can bind beside it")
def test_who_shares_can_be_shared_with(squat: Squatters) -> None:
    """With SO_REUSEADDR on both sides a bound port can be bound again; beside a listener it cannot."""
    assert is_port_free(squat("not_listening").port)
    assert not is_port_free(squat("banner").port)


def test_stopping_frees_the_port(squat: Squatters) -> None:
    """A stopped squatter is gone, and its port can be bound."""
    squatter = squat("banner", port=squat.reserve_port())
    squatter.stop()
    assert not squatter.is_running()
    assert is_port_free(squatter.port)


def test_several_at_once(squat: Squatters) -> None:
    """Each squatter has a port of its own."""
    assert len({squat(kind).port for kind in ("banner", "silent")}) == 2
