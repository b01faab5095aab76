"""Which fields of a stage's evidence a check has read: the report shows them, also when the check passes.

`observe_fields` returns evidence that behaves as the original does. Each field that is read from it is kept with its
path and value; a field that is a dataclass is followed, so that ``recovery.answered_s`` is kept and not all of
``recovery``.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from lumen_conformance.http.capture import Capture, captures_in
from lumen_conformance.stages.stage_steps import StageStep, StepTime
from lumen_conformance.targets.endpoint import Health

T = TypeVar("T")
_CONTAINERS: Final[tuple[type, ...]] = (list, tuple, dict)  # but no classes of their own
_TIMES: Final = frozenset(each.name for each in dataclasses.fields(StageStep))
_ReadStep = tuple[StepTime, bool]
"""A step, and whether it is a precondition."""
MOST_PARTS: Final = 12  # of a list or dict: more than a reader compares


class ObservedFields:
    """The fields that were read, in the order of their first reading; an exchange is kept apart from them."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._steps: list[_ReadStep] = []

    def add(self, path: str, value: object) -> None:
        """Keep a field."""
        self._values.setdefault(path, value)

    def add_step(self, step: _ReadStep) -> None:
        """Keep the step that has observed a field."""
        self._steps.append(step)

    @property
    def steps(self) -> list[StepTime]:
        """Each step or exchange that was read; preconditions if nothing else was."""
        own = [step for step, is_precondition in self._steps if not is_precondition]
        return list(dict.fromkeys([*own, *map(_times, self.exchanges)] or [step for step, _ in self._steps]))

    @property
    def exchanges(self) -> list[Capture]:
        """The exchanges among the fields."""
        found = captures_in([value for value in self._values.values() if not _is_record(value)])
        return list({id(each): each for each in found}.values())

    @property
    def values(self) -> list[tuple[str, Any]]:
        """Path and value of each field, as JSON values; of a dataclass of which fields were read, only these."""
        found = [
            (path, _without_bytes(value)) for path, value in self._values.items() if not isinstance(value, Capture)
        ]
        parents = {parent for path, _ in found for parent in _parents(path)}
        return [(path, _without_times(msgspec.to_builtins(value))) for path, value in found if path not in parents]


def observe_fields(evidence: T, fields: ObservedFields, path: str = "", step: _ReadStep | None = None) -> T:
    """Return the evidence; ``fields`` gets what is read from it. Anything but a dataclass is returned as it is.

    In a short list or dict of dataclasses each of them is followed; of a long one the whole is a value. ``step`` is
    the one that has observed the evidence.
    """
    if type(evidence) in _CONTAINERS:
        parts: T = _observe_parts(evidence, fields, path, step)
        return parts
    if not _is_record(evidence):
        return evidence
    original: Any = type(evidence)
    observed: T = object.__new__(_observing(original))
    own = object.__getattribute__(observed, "__dict__")
    own.update(
        object.__getattribute__(evidence, "__dict__"), __observed__=(original, fields, path, _step_of(evidence) or step)
    )
    return observed


def _observe_parts(parts: Any, fields: ObservedFields, path: str, step: _ReadStep | None) -> Any:  # noqa: ANN401 -- a list, tuple or dict
    named: dict[Any, Any] = parts if isinstance(parts, dict) else dict(enumerate(parts))
    if len(named) > MOST_PARTS or not all(_is_record(each) for each in named.values()):
        return parts
    observed = {
        name: observe_fields(each, fields, f"{path}.{name}" if path else str(name), step)
        for name, each in named.items()
    }
    return observed if isinstance(parts, dict) else type(parts)(observed.values())


def _parents(path: str) -> list[str]:
    names = path.split(".")
    return [".".join(names[:end]) for end in range(1, len(names))]


def _times(exchange: Capture) -> StepTime:
    return exchange.sent_mono_s, exchange.sent_mono_s + exchange.elapsed_s, ()


def _step_of(record: object) -> _ReadStep | None:
    """Return the step that has observed a record: it begins with the first of the steps in it."""
    if isinstance(record, Health):
        return _times(record.capture), False
    if not isinstance(record, StageStep):
        return None
    values = vars(record).values()
    parts = (part for value in values for part in (_parts_of(value) if type(value) in _CONTAINERS else [value]))
    begins = [part.since_mono_s for part in parts if isinstance(part, StageStep) and not part.is_precondition]
    return (min([record.since_mono_s, *begins]), record.at_mono_s, record.own_launches), record.is_precondition


def _parts_of(value: Any) -> list[Any]:  # noqa: ANN401 -- a list, tuple or dict
    return list(value.values() if isinstance(value, dict) else value)


def _without_times(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Return a value without begin and end of its steps."""
    if isinstance(value, dict):
        return {name: _without_times(each) for name, each in value.items() if name not in _TIMES}
    return type(value)(map(_without_times, value)) if type(value) in _CONTAINERS else value


def _without_bytes(value: object) -> object:
    """Return a value with one line for each exchange in it: the exchange is shown as a whole elsewhere."""
    if isinstance(value, Capture):
        return f"{value.method} {value.url}: {value.status or value.ended}"
    if isinstance(value, dict):
        return {name: _without_bytes(each) for name, each in value.items()}
    return tuple(_without_bytes(each) for each in value) if isinstance(value, list | tuple) else value


def _is_record(value: object) -> bool:
    """Whether it is a dataclass whose fields can be followed; an exchange is shown as a whole."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type | Capture) and hasattr(value, "__dict__")


@cache
def _observing(original: type[Any]) -> type[Any]:
    """Return a class whose objects are taken for objects of the original one, also by its comparison."""
    names = {each.name for each in dataclasses.fields(original)}

    def read(self: Any, name: str) -> Any:  # noqa: ANN401 -- the value of any field
        own = object.__getattribute__(self, "__dict__")["__observed__"]
        if name == "__class__":
            return own[0]
        value = object.__getattribute__(self, name)
        if name not in names:
            return value
        path = f"{own[2]}.{name}" if own[2] else name
        own[1].add(path, value)
        followed = observe_fields(value, own[1], path, own[3])
        if own[3] and followed is value:
            own[1].add_step(own[3])
        return followed

    return type(original.__name__, (original,), {"__getattribute__": read})
