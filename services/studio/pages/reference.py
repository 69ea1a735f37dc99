"""The API for people who write programs: every route with its words, its fields and an example to copy."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.studio.api_examples import BYTES, Operation, curl, operations
from services.studio.pages.studio import Studio

OTHER = "studio itself"


def reference_pages(studio: Studio) -> APIRouter:
    """Open to everybody, as /openapi.json is: it tells nothing of anybody's shows."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def reference(request: Request) -> Response:
        schema = request.app.openapi()
        base = str(request.base_url).rstrip("/")
        return studio.frame.page(request, "reference.html", groups=groups_of(schema, base), bytes=BYTES)

    return router


def groups_of(schema: dict[str, Any], base: str) -> dict[str, list[dict[str, Any]]]:
    """Routes by their tag, each as a page shows it: name, words, fields of path, query and body, an example."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations(schema):
        tag = operation.facts.get("tags", [OTHER])[0]
        groups.setdefault(tag, []).append(_shown(operation, schema, base))
    return dict(sorted(groups.items()))


def _shown(operation: Operation, schema: dict[str, Any], base: str) -> dict[str, Any]:
    facts = operation.facts
    return {
        "method": operation.method,
        "path": operation.path,
        "anchor": operation.facts["operationId"],
        "words": facts.get("description") or facts.get("summary", ""),
        "fields": [_field(one["name"], one["in"], one["schema"], one) for one in facts.get("parameters", ())]
        + _body_fields(facts, schema),
        "answers": _answer(facts),
        "curl": curl(operation, base),
    }


def _body_fields(facts: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, str]]:
    content = facts.get("requestBody", {}).get("content", {}).get("application/json", {})
    record = _resolved(content.get("schema", {}), schema)
    needed = record.get("required", ())
    return [
        _field(name, "body", one, {"required": name in needed, "description": one.get("description", "")})
        for name, one in record.get("properties", {}).items()
    ]


def _resolved(record: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in record:
        return record
    found: dict[str, Any] = schema["components"]["schemas"][record["$ref"].rsplit("/", 1)[1]]
    return found


def _field(name: str, place: str, kind: dict[str, Any], facts: dict[str, Any]) -> dict[str, str]:
    default = f"; {kind['default']} if left out" if kind.get("default") not in (None, "", [], {}) else ""
    return {
        "name": name,
        "place": place,
        "kind": _kind(kind) + ("" if facts.get("required") else f", optional{default}"),
        "words": facts.get("description", "") or kind.get("description", ""),
    }


def _kind(kind: dict[str, Any]) -> str:
    """A schema's type as people say it: `text`, `number`, `list of text`, `one of a, b`."""
    if "$ref" in kind:
        return str(kind["$ref"].rsplit("/", 1)[1])
    if "enum" in kind:
        return "one of " + ", ".join(str(one) for one in kind["enum"])
    if "const" in kind:
        return str(kind["const"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in kind:
            return " or ".join(dict.fromkeys(_kind(one) for one in kind[several] if one.get("type") != "null"))
    if kind.get("type") == "array":
        return f"list of {_kind(kind.get('items', {}))}"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}
    return names.get(kind.get("type", ""), str(kind.get("type", "anything")))


def _answer(facts: dict[str, Any]) -> str:
    """Status and record of the good answer."""
    for status, answer in facts["responses"].items():
        if status.startswith("2"):
            content = answer.get("content", {})
            kind = next(iter(content), "")
            record = content.get(kind, {}).get("schema", {})
            return " ".join(part for part in (status, _kind(record) if record else "", kind) if part)
    return ""
