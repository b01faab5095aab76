"""The only wait: it ends with the claim, the deadline or a death, and says what it saw."""

import threading

import pytest

from lumen_conformance.waiting import Died, Overdue, observe, until


def test_first_true_answer_is_returned() -> None:
    """The probe is asked until it gives something true."""
    answers = iter([None, 0, "", "yes"])
    assert until("an answer", lambda: next(answers), within_s=5) == "yes"


def test_deadline_names_claim_time_and_last_sight() -> None:
    """An overdue wait carries its data, and names both hypotheses."""
    with pytest.raises(Overdue, match="slower here than that or never happens") as overdue:
        until("the door opens", lambda: None, within_s=0.05)
    assert (overdue.value.claim, overdue.value.last) == ("the door opens", None)
    assert 0.05 <= overdue.value.elapsed_s < 5


def test_death_ends_the_wait_at_once() -> None:
    """When the thing waited for has died, nobody waits for the deadline."""
    with pytest.raises(Died, match="by its own fault or ended by another: exit status 3") as death:
        until("it answers", lambda: None, within_s=60, give_up=lambda: "exit status 3")
    assert death.value.elapsed_s < 5


def test_what_came_before_the_death_counts() -> None:
    """An event that was written just before the end is still seen."""
    assert until("it spoke", lambda: "last words", within_s=60, give_up=lambda: "it is dead") == "last words"


def test_trouble_of_the_probe_is_a_sight() -> None:
    """A refused connection is what was seen, not the end of the wait; a bug in the probe is."""

    def refused() -> None:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(Overdue, match="nobody listens"):
        until("it listens", refused, within_s=0.01)
    with pytest.raises(ZeroDivisionError):
        until("it counts", lambda: 1 // 0, within_s=60)


def test_event_ends_the_pause() -> None:
    """With an event as its pause the next look follows at once."""
    event = threading.Event()
    pauses = []

    def pause(pause_s: float) -> None:
        pauses.append(pause_s)
        event.wait(60)

    threading.Timer(0.05, event.set).start()
    assert until("the event", event.is_set, within_s=60, pause=pause)
    assert len(pauses) == 1


def test_stages_get_none_instead_of_an_error() -> None:
    """What never happened is an observation."""
    assert observe("it answers", lambda: None, within_s=0.01) is None
    assert observe("it answers", lambda: "yes", within_s=0.01) == "yes"


def test_pauses_grow_to_a_twentieth_of_a_second() -> None:
    """The first looks are close together, later ones spare the processor, none goes beyond the deadline."""
    pauses: list[float] = []
    with pytest.raises(Overdue):
        until("never", lambda: None, within_s=0.02, pause=pauses.append)
    assert pauses[0] == 0.002
    assert max(pauses) <= 0.05


def test_the_last_sight_is_told_before_the_log() -> None:
    """What was seen last does not stand at the end of somebody else's log."""
    with pytest.raises(Died) as death:
        until("it answers", lambda: None, within_s=60, give_up=lambda: "exit status 3\n--- log\nlast line")
    head, *log = str(death.value).splitlines()
    assert head.endswith(": None")
    assert log == ["--- log", "last line"]
