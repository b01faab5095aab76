"""Each schema takes what is healthy and refuses each defect for its own reason and no other."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.fixtures import schemas

ACCEPTED = sorted(schemas.EXAMPLES.glob("*/accept-*.json"))
REJECTED = sorted(schemas.EXAMPLES.glob("*/reject-*.json"))
WITH_EXAMPLES = [name for name in schemas.names() if name != "openai-common"]  # only parts of other schemas


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", ACCEPTED, ids=_id)
def test_accepted(path: Path) -> None:
    """A healthy example breaks nothing."""
    assert schemas.breaches(path.parent.name, json.loads(path.read_text("utf-8"))) == ()


@pytest.mark.parametrize("path", REJECTED, ids=_id)
def test_rejected_for_its_reason(path: Path) -> None:
    """A broken example breaks exactly the rule that it names."""
    example = json.loads(path.read_text("utf-8"))
    found = schemas.breaches(path.parent.name, example["instance"])
    assert [breach.schema for breach in found] == [example["fails"]]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_has_both_kinds_of_examples(name: str) -> None:
    """A schema without a counterexample may accept anything."""
    assert [path for path in ACCEPTED if path.parent.name == name]
    assert [path for path in REJECTED if path.parent.name == name]


def test_examples_belong_to_schemas() -> None:
    """No folder of examples is left without its schema."""
    assert {path.name for path in schemas.EXAMPLES.iterdir()} == set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", schemas.names())
def test_is_a_schema(name: str) -> None:
    """Each file is a draft 2020-12 schema, named by a URN that no network can be asked for."""
    schema = json.loads((schemas.HERE / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == schemas.URN + name
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_persona_names_are_data() -> None:
    """No persona is named in a schema but by the four fixed request keys."""
    text = "".join(path.read_text("utf-8") for path in schemas.HERE.glob("*.schema.json"))
    assert not [name for name in ("루아", "엘로", "누리", "세나", "Lua", "Elo", "Nuri", "Sena") if name in text]
