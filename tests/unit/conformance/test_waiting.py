"""A wait ends with the value, at its deadline, or when the condition can no longer become true."""

import threading

import pytest

from lumen_conformance.waiting import WaitEndedError, WaitTimeoutError, observe, until


def test_first_true_value_is_returned() -> None:
    """The probe is called until it returns a true value."""
    answers = iter([None, 0, "", "yes"])
    assert until("an answer", lambda: next(answers), within_s=5) == "yes"


def test_deadline_error_has_claim_time_and_last_value() -> None:
    """The error of a deadline has the claim, the elapsed time and the last value."""
    with pytest.raises(WaitTimeoutError, match=r"^it listens: not within 0\.05 s; last value after") as error:
        until("it listens", lambda: None, within_s=0.05)
    assert (error.value.claim, error.value.last) == ("it listens", None)
    assert 0.05 <= error.value.elapsed_s < 5


def test_an_ended_process_ends_the_wait() -> None:
    """A wait for a process that has ended does not last until the deadline."""
    with pytest.raises(WaitEndedError, match="exit status 3") as error:
        until("it answers", lambda: None, within_s=60, give_up=lambda: "exit status 3")
    assert error.value.elapsed_s < 5


def test_a_value_from_before_the_end_counts() -> None:
    """A value that became true just before the process ended is returned."""
    assert until("it printed", lambda: "last line", within_s=60, give_up=lambda: "it has ended") == "last line"


def test_os_errors_of_the_probe_do_not_end_the_wait() -> None:
    """A refused connection counts as a false value; any other exception of the probe ends the wait."""

    def refused() -> None:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(WaitTimeoutError, match="nobody listens"):
        until("it listens", refused, within_s=0.01)
    with pytest.raises(ZeroDivisionError):
        until("it counts", lambda: 1 // 0, within_s=60)


def test_event_ends_the_pause() -> None:
    """With ``event.wait`` as the pause, the next call of the probe follows the event at once."""
    event = threading.Event()
    pauses = []

    def pause(pause_s: float) -> None:
        pauses.append(pause_s)
        event.wait(60)

    threading.Timer(0.05, event.set).start()
    assert until("the event", event.is_set, within_s=60, pause=pause)
    assert len(pauses) == 1


def test_observe_returns_none_at_the_deadline() -> None:
    """`observe` returns None instead of raising an error."""
    assert observe("it answers", lambda: None, within_s=0.01) is None
    assert observe("it answers", lambda: "yes", within_s=0.01) == "yes"


def test_pauses_grow_to_a_twentieth_of_a_second() -> None:
    """The first pause is short, later ones are longer, and none goes beyond the deadline."""
    pauses: list[float] = []
    with pytest.raises(WaitTimeoutError):
        until("never", lambda: None, within_s=0.02, pause=pauses.append)
    assert pauses[0] == 0.002
    assert max(pauses) <= 0.05


def test_the_last_value_precedes_the_log() -> None:
    """The last value is part of the first line of the error, before a log that follows."""
    with pytest.raises(WaitEndedError) as error:
        until("it answers", lambda: None, within_s=60, give_up=lambda: "exit status 3\n--- log\nlast line")
    head, *log = str(error.value).splitlines()
    assert head.endswith(": None")
    assert log == ["--- log", "last line"]
