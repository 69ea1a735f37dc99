"""An example for every route of the API: what is sent to it, and the names in its path. They stand in /openapi.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
SHOW = "lamplight"
RECORDING, REVISION, EPISODE = "r5f0c81d2a9b4e7c3", "t20310501-0a1b2c3d", "e7d31c9a04b52"
JOB = "0f3a9c5e7b1d4a628e0c9f7a5b3d1e42"
UPLOAD = "uploads/20310501093000-8c1f0a9e"
PLACES: Mapping[str, Any] = {  # what stands in a path, by its name there
    "show": SHOW,
    "recording": RECORDING,
    "revision": REVISION,
    "cluster": "k3f9a0c71d",
    "guest": "orla-finnegan",
    "job_id": JOB,
    "number": 1,
    "turn": 12,
    "file": "README.md",
}
NAMED: Mapping[str, str] = {  # `{name}` in a path, by the noun before it
    "recordings": RECORDING,
    "transcripts": RECORDING,
    "datasets": "d20310502-5c0a",
    "adapters": "lamplight.r1.c12",
    "episodes": EPISODE,
    "questions": EPISODE,
    "comparisons": "c4b8e1f60a7d3",
    "sources": "s0a1b2c3d4e",
    "voiceprints": "Tam Okoro",
    "uploads": "20310501093000-8c1f0a9e",
    "tokens": "nia",
}
QUERIES: Mapping[str, Any] = {
    "episode": [EPISODE, "e0b4a7c2f5d19"],
    "before": REVISION,
    "after": "t20310502-4e5f6a7b",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
BRIEF = {"show": SHOW, "guest": "Orla Finnegan", "about": "the last drive-in cinema", "minutes": 10}
BODIES: Mapping[str, Any] = {
    "POST /v1/shows": {"slug": SHOW, "title": "The Lamplight Hour", "host": "Mara Quill", "rights": "own"},
    "PATCH /v1/shows/{show}": {"about": "Long talks after dark."},
    "POST /v1/shows/{show}/sources": {
        "address": "https://example.org/feed.xml",
        "filters": {"min_minutes": 20, "newest": 50},
    },
    "PATCH /v1/shows/{show}/sources/{name}": {"filters": {"newest": 100}},
    "POST /v1/refreshes": {"show": SHOW, "source": "s0a1b2c3d4e", "dry_run": True},
    "POST /v1/recordings": {"show": SHOW, "upload_key": UPLOAD, "filename": "interview.mp3", "guest": "Ann Ash"},
    "PATCH /v1/shows/{show}/recordings/{recording}": {"guest": "Ann Ash", "facts": ["Ann Ash keeps a lighthouse."]},
    "POST /v1/pipelines": {
        "show": SHOW,
        "subscriptions": ["s0a1b2c3d4e"],
        "host_is": "S1",
        "episode": {"guest": "Orla Finnegan", "minutes": 10},
    },
    "POST /v1/transcripts": {"show": SHOW, "recording": RECORDING},
    "POST /v1/transcripts/missing": {"show": SHOW},
    "POST /v1/hosts": {"show": SHOW, "recording": RECORDING, "speaker": "S1"},
    "POST /v1/hosts/found": {"show": SHOW},
    "POST /v1/recognitions": {"show": SHOW},
    "POST /v1/repeats": {"show": SHOW},
    "PUT /v1/shows/{show}/repeats/{cluster}": {"kind": "advert"},
    "POST /v1/replacements": {"show": SHOW, "find": "Orla Finegan", "replace": "Orla Finnegan"},
    "POST /v1/renamings": {"show": SHOW, "name": "Tam", "to": "Tam Okoro"},
    "POST /v1/undone-batches": {"show": SHOW, "batch": "b20310502-77aa"},
    "POST /v1/transcript-files": {"show": SHOW, "recording": RECORDING, "upload_key": UPLOAD, "filename": "talk.vtt"},
    "POST /v1/shows/{show}/transcripts/{recording}/corrections": {
        "base": REVISION,
        "edits": [{"kind": "reassign", "turns": ["w118"], "to": "S2"}, {"kind": "settle", "turns": ["w131"]}],
        "reason": "heard it again",
    },
    "PUT /v1/shows/{show}/glossary": {"terms": ["Orla Finnegan", "Fresnel lens"]},
    "POST /v1/datasets": {"show": SHOW, "min_state": "machine"},
    "POST /v1/adapters": {"show": SHOW, "dataset": "d20310502-5c0a", "epochs": 3},
    "POST /v1/episodes": BRIEF,
    "POST /v1/episode-revisions": {"show": SHOW, "episode": EPISODE, "minutes": 90},
    "POST /v1/comparisons": {**BRIEF, "adapters": ["best", "base"]},
    "POST /v1/renderings": {"show": SHOW, "episode": EPISODE},
    "POST /v1/guests": {"show": SHOW, "name": "Orla Finnegan", "text": "Orla Finnegan opened the Gala in 1998."},
    "PUT /v1/shows/{show}/guests/{guest}": {
        "revision": 1,
        "facts": [{"text": "Orla Finnegan runs the last drive-in cinema.", "by": "person"}],
    },
    "POST /v1/collections": {"dry_run": True},
    "POST /v1/forgettings": {"show": SHOW, "words": [RECORDING], "dry_run": True},
    "POST /v1/tokens": {"name": "nia", "role": "editor", "show": SHOW},
}
BYTES: Mapping[str, str] = {  # routes that take what is no JSON
    "POST /v1/uploads": "the bytes of a file: `curl --data-binary @interview.mp3`",
    "PATCH /v1/uploads/{name}": "the bytes from Upload-Offset on",
    "POST /v1/imports": "the tar file of an export",
    "POST /v1/imports/checks": "the export.json of an export",
}


class Operation(NamedTuple):
    """One route of the API, with an example of asking it."""

    method: str
    path: str
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def example_path(self) -> str:
        return example_path(self.path)

    @property
    def example_query(self) -> str:
        """What must stand behind the path, with its question mark; empty where nothing must."""
        needed = [one for one in self.facts.get("parameters", ()) if one["in"] == "query" and one.get("required")]
        return "?" + urlencode([(one["name"], one["example"]) for one in needed], doseq=True) if needed else ""

    @property
    def body(self) -> Any:
        return BODIES.get(self.name)


def example_path(path: str) -> str:
    """A path with examples instead of names."""
    parts = path.split("/")
    return "/".join(_example(parts, place) for place in range(len(parts)))


def _example(parts: list[str], place: int) -> str:
    part = parts[place]
    if not part.startswith("{"):
        return part
    name = part.strip("{}")
    return str(NAMED[parts[place - 1]] if name == "name" else PLACES[name]).replace(" ", "%20")


def describe(app: FastAPI) -> None:
    """Have an app's /openapi.json hold the examples."""

    def described() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = with_examples(schema)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def with_examples(schema: dict[str, Any]) -> dict[str, Any]:
    bearer = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema.setdefault("components", {})["securitySchemes"] = bearer
    schema["security"] = [{"bearer": []}]
    for operation in operations(schema):
        _add_examples(operation)
    return schema


def operations(schema: dict[str, Any]) -> Iterator[Operation]:
    """All routes, in the order in which they stand in the schema."""
    for path, methods in schema["paths"].items():
        for method, facts in methods.items():
            if method in METHODS:
                yield Operation(method.upper(), path, facts)


def _add_examples(operation: Operation) -> None:
    parts = operation.path.split("/")
    for parameter in operation.facts.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            place = parts.index(f"{{{name}}}")
            parameter["example"] = NAMED[parts[place - 1]] if name == "name" else PLACES[name]
        elif name in QUERIES:
            parameter["example"] = QUERIES[name]
    if operation.body is not None:
        content = operation.facts["requestBody"]["content"]["application/json"]
        content["example"] = operation.body


def curl(operation: Operation, base: str = "http://127.0.0.1:8765") -> str:
    """How to ask it from a command line, on several lines."""
    lines = ['curl -H "Authorization: Bearer $DIARY_TOKEN"']
    if operation.method != "GET":
        lines[0] += f" -X {operation.method}"
    if operation.body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {_quoted(json.dumps(operation.body))}"]
    lines.append(_quoted(base + operation.example_path + operation.example_query))
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
