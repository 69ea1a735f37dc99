"""What studio tells of the other services: ready, not ready, away, and their models."""

from __future__ import annotations

import httpx

from services.studio.doors.status import ServiceStatus, in_words, status_of
from services.studio.neighbours import Neighbours

DOWNLOADING = {
    "name": "owner/large", "state": "downloading", "done_gb": 4.21, "total_gb": 14.5, "eta_s": 720.0, "note": "",
}  # fmt: skip


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.host == "ingest":
        raise httpx.ConnectError("refused")
    if request.url.path == "/health/live":
        return httpx.Response(200, json={"service": request.url.host, "version": "0.1.0", "engines": {"vLLM": 7}})
    if request.url.host == "trainer":
        return httpx.Response(503, json={"detail": "the object store does not answer", "status": 503})
    return httpx.Response(200, json={"service": "inference", "state": "ready", "models": [DOWNLOADING]})


def test_each_service_is_ready_or_says_why_not():
    urls = {name: f"http://{name}" for name in ("ingest", "trainer", "inference")}

    neighbours = Neighbours(urls, "diary_secret", transport=httpx.MockTransport(answer))

    away, unready, ready = neighbours.ask_all(status_of)

    assert (away.service, away.state) == ("ingest", "away") and "does not answer" in away.note
    assert (unready.state, unready.note) == ("not ready", "the object store does not answer")
    assert ready == ServiceStatus(
        service="inference", state="ready", version="0.1.0", engines=("vLLM",), models=(DOWNLOADING,)
    )


def test_a_model_on_its_way_reads_well():
    assert in_words(DOWNLOADING) == "owner/large downloading 4.2/14.5 GB, 12 min left"
    assert in_words({"name": "owner/large", "state": "ready", "total_gb": 14.5}) == "owner/large ready"
    failed = {"name": "owner/large", "state": "failed", "note": "accept the conditions"}
    assert in_words(failed) == "owner/large failed (accept the conditions)"
