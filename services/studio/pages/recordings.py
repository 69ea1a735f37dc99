"""The recordings of a show: all of them as a list, and one with what is known of it and what may be done with it."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.doors.corrections import TRANSCRIPTION
from services.studio.pages.frame import visitor
from services.studio.pages.recording_rows import is_guess, rows_of, standing_of
from services.studio.pages.sessions import Seat
from services.studio.pages.sound import audio_address
from services.studio.pages.studio import Studio
from services.studio.pages.watching import watched
from shared import recordings
from shared.corrections import RevisionSummary
from shared.errors import ArtifactMissingError, ServiceUnavailableError
from shared.schemas import Dataset, LeftOut, Recording, Transcript
from shared.service import actor_of

REASONS = ("trailer", "intro", "advert", "outro", "other")
FOUND_BY = {
    "chapters": "the source's chapters say so",
    "sponsorblock": "SponsorBlock says so",
    "gap": "guessed from a long silence",
    "person": "a person said so",
}


def recordings_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/shows/{show}/recordings")
    def all_recordings(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        record = studio.library.show(show)
        seen = studio.glances.of(show)
        rows = rows_of(studio.library.recordings(show), seen)
        return studio.frame.page(
            request,
            "recordings.html",
            show=record,
            here="Recordings",
            rows=rows,
            unread=seen.unread,
            untranscribed=sum(row.standing.told == "not transcribed" for row in rows),
            total_s=sum(row.recording.duration_s or 0 for row in rows),
        )

    @router.get("/shows/{show}/recordings/{recording}")
    def one_recording(
        show: str, recording: str, request: Request, job: str = "", seat: Seat = Depends(visitor)
    ) -> Response:
        record = studio.library.show(show)
        found = studio.library.recording(show, recording)
        transcript = _transcript(studio, found)
        seen, spans = studio.glances.of(show), spans_of(found)
        glance = next((one for one in seen.glances if one.recording == recording), None)
        return studio.frame.page(
            request,
            "recording.html",
            show=record,
            here="Recordings",
            recording=found,
            guessed=is_guess(found),
            audio=audio_address(found),
            job=watched(request, show, job),
            standing=standing_of(found, glance, seen.unread),
            transcript=transcript,
            warnings=(*found.warnings, *(transcript.warnings if transcript else ())),
            facts_of_guest=recordings.facts_of(studio.store, show, recording),
            found_by=FOUND_BY,
            reasons=REASONS,
            spans=spans,
            rest=[spans[:place] + spans[place + 1 :] for place in range(len(spans))],
            learnt=_in_newest_dataset(studio.library.datasets(show), recording),
        )

    @router.get("/shows/{show}/recordings/{recording}/history")
    def history(show: str, recording: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """The revisions of its transcript, a part of its page: transcription is asked, which may be away."""
        path = f"/v1/history/{quote(show, safe='')}/{quote(recording, safe='')}"
        problem, revisions = "", []
        try:
            with closing(studio.crew.client(TRANSCRIPTION, actor_of(request, seat.token))) as client:
                revisions = [RevisionSummary.model_validate(one) for one in client.call("GET", path).json()]
        except ServiceUnavailableError as error:
            problem = str(error)
        return studio.frame.page(
            request, "history.html", revisions=revisions, problem=problem, place=f"/shows/{show}/recordings/{recording}"
        )

    return router


def _transcript(studio: Studio, recording: Recording) -> Transcript | None:
    try:
        return studio.library.transcript(recording.show, recording.id)
    except ArtifactMissingError:
        return None


def spans_of(recording: Recording) -> list[dict[str, Any]]:
    """Its excluded spans as the API takes them."""
    return [span.model_dump(mode="json") for span in recording.excluded_spans]


def _in_newest_dataset(datasets: list[Dataset], recording: str) -> tuple[str, list[LeftOut]] | None:
    """The newest dataset, and what it leaves out of this recording; None where there is no dataset."""
    newest = max(datasets, key=lambda one: one.lineage.made_at, default=None)
    if newest is None:
        return None
    return newest.id, [one for one in newest.left_out if one.recording == recording]
