"""Every route has an example, and every example is what the route takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from services.studio.api_examples import BODIES, BYTES, Operation, curl, example_path, operations
from services.studio.crew import HttpCrew
from tests.fakes import MemoryStore
from tests.studio.a_door import studio_of


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("studio")
    app, _ = studio_of(folder, MemoryStore(), HttpCrew({}, ""))
    found: dict[str, Any] = app.openapi()
    return found


def bodied(schema: dict[str, Any]) -> list[Operation]:
    return [one for one in operations(schema) if "requestBody" in one.facts]


def test_every_route_that_takes_something_has_an_example(schema: dict[str, Any]):
    assert set(BODIES) == {one.name for one in bodied(schema)}
    assert set(BYTES) <= {one.name for one in operations(schema)}


def test_every_example_is_what_its_route_takes(schema: dict[str, Any]):
    for one in bodied(schema):
        taken = one.facts["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator({**taken, "components": schema["components"]}).validate(one.body)


def test_every_name_in_a_path_has_an_example(schema: dict[str, Any]):
    for one in operations(schema):
        assert "{" not in example_path(one.path)
        for parameter in one.facts.get("parameters", ()):
            if parameter["in"] == "path" or parameter.get("required"):
                assert "example" in parameter, f"{one.name}: {parameter['name']}"


def test_every_route_says_in_words_what_it_does(schema: dict[str, Any]):
    silent = [one.name for one in operations(schema) if not one.facts.get("description")]

    assert silent == []


def test_a_command_line_survives_quotes():
    told = curl(Operation("POST", "/v1/guests", {}))

    assert told.startswith('curl -H "Authorization: Bearer $DIARY_TOKEN" -X POST')
    assert told.endswith("'http://127.0.0.1:8765/v1/guests'")
