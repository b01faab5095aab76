"""The fields of evidence that a check reads are kept, and the evidence behaves as it does without."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.measurement import rounded
from lumen_conformance.stages.observed_fields import MOST_PARTS, ObservedFields, observe_fields


@dataclass(frozen=True)
class Part:
    """A record in another."""

    seconds: float
    names: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The first name."""
        return self.names[0]


@dataclass(frozen=True)
class StageEvidence:
    """The evidence of a stage."""

    part: Part
    pid: int
    unread: str = "?"
    chat: Capture | None = None
    absent: Part | None = None


RECORD = StageEvidence(Part(0.5, ("a", "b")), 7, chat=Capture("http://127.0.0.1/", b"GET / HTTP/1.1\r\n\r\n"))


def read(*paths: str, record: StageEvidence = RECORD) -> ObservedFields:
    """Read fields as a check does."""
    fields = ObservedFields()
    observed = observe_fields(record, fields)
    for path in paths:
        value: object = observed
        for name in path.split("."):
            value = getattr(value, name)
    return fields


def test_read_fields_are_kept() -> None:
    """Only what was read is kept: a field of a part by its path, a property by the fields that it reads."""
    assert read("pid", "part.seconds").values == [("pid", 7), ("part.seconds", 0.5)]
    assert read("part.first").values == [("part.names", ("a", "b"))]
    assert read("absent", "pid", "pid").values == [("absent", None), ("pid", 7)]


def test_records_in_containers_are_followed() -> None:
    """Of records in a dict, a list or a tuple what was read is kept; their exchanges are kept apart from the fields."""
    fields = ObservedFields()
    observed = observe_fields({"first": RECORD, "second": replace(RECORD, pid=8)}, fields)
    assert (observed["second"].pid, observed["first"].chat) == (8, RECORD.chat)
    assert fields.values == [("second.pid", 8)]
    assert fields.exchanges == [RECORD.chat]
    listed = ObservedFields()
    assert [each.pid for each in observe_fields([RECORD, RECORD], listed)] == [7, 7]
    assert listed.values == [("0.pid", 7), ("1.pid", 7)]


def test_a_long_list_is_a_value() -> None:
    """A list of many records is one value, and exchanges in a list are no values."""

    @dataclass(frozen=True)
    class Many:
        parts: tuple[Part, ...]
        chats: tuple[Capture, ...]

    assert RECORD.chat
    fields = ObservedFields()
    observed = observe_fields(Many((RECORD.part,) * (MOST_PARTS + 1), (RECORD.chat,)), fields)
    assert observed.parts[0].seconds == 0.5
    assert observed.chats == (RECORD.chat,)
    (path, parts), (_, chats) = fields.values
    assert (path, len(parts)) == ("parts", MOST_PARTS + 1)
    assert chats == ("GET http://127.0.0.1/: aborted",)
    assert fields.exchanges == [RECORD.chat]


def test_whole_records_are_kept_when_none_of_their_fields_is_read() -> None:
    """A part that is compared as a whole is a value."""
    assert read("part").values == [("part", {"seconds": 0.5, "names": ("a", "b")})]


def test_exchanges_are_apart() -> None:
    """An exchange is no value, but it can be shown."""
    fields = read("chat.status", "chat.url")
    assert (fields.values, fields.exchanges) == ([], [RECORD.chat])


def test_it_behaves_as_the_original() -> None:
    """Comparison, hash, class, copy and representation are those of the evidence."""
    observed = observe_fields(RECORD, ObservedFields())
    assert observed == RECORD
    assert [observed] == [RECORD]
    assert observed.part == Part(0.5, ("a", "b"))
    assert {RECORD.part: 1}[observed.part]
    assert isinstance(observed, StageEvidence)
    assert replace(observed, pid=8) == replace(RECORD, pid=8)
    assert repr(observed.part) == repr(RECORD.part)


def test_other_values_stay() -> None:
    """Evidence that is no dataclass is returned as it is."""
    assert observe_fields({"a": 1}, ObservedFields()) == {"a": 1}


def test_what_was_measured_has_no_digits_of_a_float() -> None:
    """A difference of two times is shown to the microsecond; whole numbers and texts stay."""
    found = rounded([("waited_s", 0.1 + 0.2), ("part", {"names": ("a", 1.23456789), "pid": 7, "read": True})])
    assert found == [["waited_s", 0.3], ["part", {"names": ["a", 1.234568], "pid": 7, "read": True}]]
