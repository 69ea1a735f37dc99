"""What a showcase writes down; the GPU and the stack are scripted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from examples import showcase
from shared.client import ServiceClient
from shared.machine import Answer
from shared.schemas import Episode, EpisodeOptions
from tests.inference.an_episode import episode

EPISODE = episode()
JOB = {
    "id": "job-1",
    "service": "studio",
    "kind": "episode",
    "state": "done",
    "created_at": "2026-05-04T10:00:00Z",
    "updated_at": "2026-05-04T10:09:00Z",
    "result": {"episode": EPISODE.id},
}


class ScriptedStudio:
    """Answers a showcase; the show is not there before it is made."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def client(self) -> ServiceClient:
        return ServiceClient("studio", "http://scripted", "token", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, place = request.url.path, f"/v1/shows/lamplight/episodes/{EPISODE.id}"
        if request.method == "POST":
            self.made[path] = json.loads(request.content)
            return httpx.Response(202, json=JOB)
        answers = {
            place: httpx.Response(200, content=EPISODE.model_dump_json()),
            f"{place}/export": httpx.Response(200, content=f"as {request.url.params.get('format')}"),
        }
        return answers.get(path, httpx.Response(404, json={"detail": "not there"}))


def test_the_fullest_gpu_counts():
    assert showcase.used_mib(Answer(0, "512\n71034\n 8")) == 71034


def test_a_machine_without_nvidia_smi_has_no_figure():
    assert showcase.used_mib(Answer(None, "")) is None
    assert showcase.used_mib(Answer(9, "NVIDIA-SMI has failed: 404")) is None
    assert showcase.used_mib(Answer(0, "[N/A]")) is None


def test_the_brief_is_one_that_the_service_takes():
    brief = EpisodeOptions.model_validate({**showcase.BRIEF, "words": showcase.WORDS})

    assert (brief.words, brief.guest_is) == (10_000, "invented")
    assert len(brief.facts) >= 8


def test_speed_is_of_kept_tokens_over_all_that_it_took():
    figures = showcase.figures_of(EPISODE, seconds=120.0, peak_mib=None)

    kept = sum(turn.tokens for turn in EPISODE.turns)
    assert (figures["minutes"], figures["tokens_per_s"]) == (2.0, round(kept / 120, 1))
    assert figures["peak_vram_mib"] is None


def test_a_showcase_leaves_all_its_files(tmp_path: Path):
    studio = ScriptedStudio()

    figures = showcase.showcase(studio.client(), 10_000, "best", tmp_path / "out")

    assert studio.made["/v1/shows"]["slug"] == "lamplight"
    assert studio.made["/v1/episodes"] == {"show": "lamplight", **showcase.BRIEF, "words": 10_000, "adapter": "best"}
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(written) == {"episode.json", "report.json", "episode.md", "episode.html", "showcase.json"}
    assert Episode.model_validate_json(written["episode.json"]) == EPISODE
    assert (written["episode.md"], written["episode.html"]) == ("as md", "as html")
    assert json.loads(written["showcase.json"]) == figures
