"""H3: the list of models, each model, and an unknown model."""

import pytest

from lumen_conformance import schemas
from lumen_conformance.contract.expectations import (
    describe,
    describe_header,
    expect_answer_with_text,
    expect_equal,
    expect_error,
    expect_schema,
    expect_status,
)
from lumen_conformance.contract.session import ContractSession, model_path, question
from lumen_conformance.http.documents import JsonObject, answer_json, media_type
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect

MODEL_LIST = "openapi.yaml: ListModelsResponse"
LISTS = {"H3-list": "/v1/models", "H3-list-bare": "/models"}


@check_each("path", LISTS, source=f"{MODEL_LIST}; all clients that list models read data and id")
@pytest.mark.smoke
def test_list_of_models(path: str, proxy: ContractSession) -> None:
    """The list of models ({path}) is JSON: an object with data, a list of objects with an id."""
    capture = proxy.call("GET", path)
    expect_status(capture, 200)
    expect(
        media_type(capture) == "application/json",
        "media type application/json",
        describe_header(capture, "Content-Type"),
    )
    expect_schema(capture, "openai-model-list", "an object with data, a list of objects with an id")
    expect(bool(answer_json(capture).get("data")), "at least one model in data", describe(capture))


@check_each("row", {f"{name}-wire": (name, path) for name, path in LISTS.items()}, tier="S", source=MODEL_LIST)
def test_list_of_models_as_openai_has_it(row: tuple[str, str], proxy: ContractSession) -> None:
    """The list of models ({row}) matches OpenAI's schema."""
    listing, path = row
    capture = proxy.call("GET", path)
    if schemas.find_breaches("openai-model-list", answer_json(capture)):
        raise NotJudged(f"the response is not a list of models: {describe(capture)}", (listing,))
    expect_schema(capture, "openai-model-list-wire", "a body that matches the schema of a list of models")


def listed_models(proxy: ContractSession) -> list[JsonObject]:
    """The models in the list; raises `NotJudged` when there are none."""
    found = answer_json(proxy.models).get("data")
    models = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not models:
        raise NotJudged(f"the list has no models: {describe(proxy.models)}", ("H3-list",))
    return models


@check("H3-each", tier="S", source="openapi.yaml: retrieveModel")
def test_each_model(proxy: ContractSession) -> None:
    """Each model of the list can be retrieved, and is the same as in the list."""
    for one in listed_models(proxy):
        capture = proxy.call("GET", model_path(str(one.get("id"))))
        expect_status(capture, 200)
        expect_equal(answer_json(capture).get("id"), one.get("id"), "the id of the model")
        expect_schema(capture, "openai-model", "a body that matches the schema of a model")
        if (
            proxy.target.profile == "lumen"
        ):  # other targets may give other times and permissions: no client compares them
            expect_equal(answer_json(capture), one, "the model as in the list")


@check("H3-usable", source="openapi.yaml: listModels lists the available models")
def test_each_model_is_usable(proxy: ContractSession) -> None:
    """Each model of the list answers under its own name; for other targets, the model given for them answers."""
    if (
        proxy.target.profile != "lumen"
    ):  # a listed model may be for embeddings, and the answer of a snapshot has another name
        expect_answer_with_text(proxy, proxy.ask("안녕"), "안녕")
        return
    names = [proxy.target.model] if proxy.target.url else [str(one.get("id")) for one in listed_models(proxy)]
    answers = [proxy.post({**question("안녕"), "model": name}) for name in names]
    expect_equal([answer_json(capture).get("model") for capture in answers], names, "the models of the answers")


@check("H3-unknown", tier="S", source="RFC 9110, 15.5.5; model_not_found is the code of OpenAI for an unknown model")
def test_unknown_model(proxy: ContractSession) -> None:
    """A request for an unknown model gets a 404 with the code model_not_found."""
    capture = proxy.call("GET", "/v1/models/no-such-model")
    expect_error(capture, 404, code="model_not_found")
