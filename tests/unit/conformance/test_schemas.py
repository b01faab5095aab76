"""Each schema accepts valid examples, and rejects each invalid example for one reason."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from lumen_conformance import schemas
from lumen_conformance.schemas.compiler import Compiler

ACCEPTED = sorted(schemas.EXAMPLES.glob("*/accept-*.json"))
REJECTED = sorted(schemas.EXAMPLES.glob("*/reject-*.json"))
WITH_EXAMPLES = [name for name in schemas.list_schemas() if name != "openai-common"]  # only parts of other schemas


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", ACCEPTED, ids=_id)
def test_accepted(path: Path) -> None:
    """A valid example has no breach."""
    assert schemas.find_breaches(path.parent.name, json.loads(path.read_text("utf-8"))) == ()


@pytest.mark.parametrize("path", REJECTED, ids=_id)
def test_rejected_for_its_reason(path: Path) -> None:
    """An invalid example breaks exactly the rule that it names."""
    example = json.loads(path.read_text("utf-8"))
    found = schemas.find_breaches(path.parent.name, example["instance"])
    assert [breach.schema for breach in found] == [example["fails"]]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_has_both_kinds_of_examples(name: str) -> None:
    """Each schema has valid and invalid examples."""
    assert [path for path in ACCEPTED if path.parent.name == name]
    assert [path for path in REJECTED if path.parent.name == name]


def test_examples_belong_to_schemas() -> None:
    """Each folder of examples has a schema."""
    assert {path.name for path in schemas.EXAMPLES.iterdir()} == set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", schemas.list_schemas())
def test_is_a_schema(name: str) -> None:
    """Each file is a draft 2020-12 schema whose id is a URN."""
    schema = json.loads((schemas.HERE / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == schemas.URN + name
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_persona_names_are_data() -> None:
    """Schemas name personas only in the four fixed keys of requests."""
    text = "".join(path.read_text("utf-8") for path in schemas.HERE.glob("*.schema.json"))
    assert not [name for name in ("루아", "엘로", "누리", "세나", "Lua", "Elo", "Nuri", "Sena") if name in text]


def _is_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


STRICT = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
)


@cache
def _reference_validator(name: str) -> Any:  # noqa: ANN401 -- jsonschema has no name for it
    """Return a validator of `jsonschema` with the stricter types; `$schema` would select other types."""
    loaded = {
        each: json.loads((schemas.HERE / f"{each}.schema.json").read_text("utf-8")) for each in schemas.list_schemas()
    }
    plain = {each: {key: schema[key] for key in schema if key != "$schema"} for each, schema in loaded.items()}
    registry: Registry[Any] = Registry().with_resources(
        (schemas.URN + each, DRAFT202012.create_resource(schema)) for each, schema in plain.items()
    )
    return STRICT(plain[name], registry=registry)


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1.0,
        1.5,
        10**30,
        "",
        "x",
        "stop",
        "custom",
        [],
        [None],
        [{}],
        {},
        {"a": [1]},
        {"type": "custom"},
    ]
)
REMOVED = object()


def _positions(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in items for place in _positions(below, (*path, key)))]


def _instance(path: Path) -> Any:  # noqa: ANN401 -- any JSON
    found = json.loads(path.read_text("utf-8"))
    return found["instance"] if path.stem.startswith("reject-") else found


def _changed(value: Any, place: tuple[str | int, ...], new: object) -> Any:  # noqa: ANN401 -- any JSON
    if not place:
        return value if new is REMOVED else new
    changed = at = copy.deepcopy(value)
    for step in place[:-1]:
        at = at[step]
    if new is REMOVED:
        del at[place[-1]]
    else:
        at[place[-1]] = new
    return changed


@given(st.sampled_from([*ACCEPTED, *REJECTED]), st.data())
def test_agrees_with_jsonschema(path: Path, data: st.DataObject) -> None:
    """For an example with one changed value, the broken rules are those of `jsonschema`."""
    name, instance = path.parent.name, _instance(path)
    value = _changed(instance, data.draw(st.sampled_from(_positions(instance))), data.draw(ODD | st.just(REMOVED)))
    errors = _reference_validator(name).iter_errors(value)
    wanted = sorted("/".join(map(str, error.absolute_schema_path)) for error in errors)
    assert sorted(breach.schema for breach in schemas.find_breaches(name, value)) == wanted


def test_unknown_keywords_are_refused() -> None:
    """An unknown keyword raises an error."""
    with pytest.raises(ValueError, match="uniqueItems"):
        Compiler(lambda _reference_validator: {}).rule({"properties": {"a": {"uniqueItems": True}}})


@pytest.mark.parametrize("name", schemas.list_schemas())
def test_every_schema_is_compiled(name: str) -> None:
    """Every schema has only known keywords."""
    schemas.find_breaches(name, {})
