"""The command that repeats a request, and what it cannot show."""

from __future__ import annotations

from pathlib import Path

from lumen_conformance.report.exchange_evidence import NEEDS_GATEWAY, NEEDS_SEVERAL
from tests.fixtures.nested_pytest import stage

MODULE = {
    "contract/test_commands.py": '''
    """Commands: failures with a command."""
    from lumen_conformance.http.capture import Capture
    from lumen_conformance.http.exchange_record import exchange_record
    from lumen_conformance.registry.measurement import EXCHANGE, record
    from lumen_conformance.registry.refutation import Failure, Refuted
    def fail(request, found, number):
        given = dict(status=200, raw_head=b"HTTP/1.1 200 OK\\r\\n\\r\\n", body=b"{}", ended="complete", headers=())
        given |= dict(arrivals=(), elapsed_s=0.4, ended_s=0.3, connected_s=0.05, first_byte_s=0.08)
        for _ in range(number):
            record(request.node, EXCHANGE, exchange_record(Capture("http://h/v1", b"GET / HTTP/1.1", **given)))
        raise Refuted(Failure("an id", found, curl="curl http://h/v1"))
    @check("C1-one")
    def test_one(request):
        """One exchange."""
        fail(request, "a", 1)
    @check("C8-several")
    def test_several(request):
        """Several exchanges."""
        fail(request, "b", 2)
    @check("G3-gateway", marks=(pytest.mark.needs("gateway"),))
    def test_gateway(request):
        """An exchange with a gateway that fails."""
        fail(request, "c", 1)
    '''
}


def test_a_command_says_what_it_cannot_show(tmp_path: Path) -> None:
    """A check that needs the gateway or compares several exchanges is run again: its request shows nothing alone."""
    ended = stage(tmp_path, MODULE)
    remarks = {name: check["r"].get("curl_remark", "") for name, check in ended.checks.items() if "r" in check}
    assert remarks == {"C1-one": "", "C8-several": NEEDS_SEVERAL, "G3-gateway": NEEDS_GATEWAY}, ended.output
    for remark in (NEEDS_SEVERAL, NEEDS_GATEWAY):
        assert f'<p class="remark"><span class="t" lang="en">{remark}</span>' in ended.html
