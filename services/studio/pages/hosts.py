"""Which is the host? A few seconds of each speaker to listen to, one answer, and whose voice the show knows since."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio.clips import Clip, clips_of
from services.studio.doors.corrections import TRANSCRIPTION
from services.studio.glances import Glance
from services.studio.pages.frame import visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.sound import audio_address
from services.studio.pages.studio import Studio
from services.studio.pages.watching import watched
from shared.errors import ArtifactMissingError, ServiceUnavailableError
from shared.schemas import HostMethod, JobState, Recording
from shared.service import actor_of

ASKED_AT_ONCE = 3
METHODS = {
    HostMethod.VOICEPRINT: "known by voice",
    HostMethod.SET: "a person said so",
    HostMethod.NAMED: "named in the published transcript",
    HostMethod.GUESSED: "guessed from what is said",
    HostMethod.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class Question:
    """One transcript whose host is asked for."""

    recording: Recording
    method: HostMethod
    clips: tuple[Clip, ...]
    audio: str | None

    @property
    def speech_s(self) -> float:
        return sum(clip.speech_s for clip in self.clips)


def hosts_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/shows/{show}/host")
    def which_is_the_host(
        show: str, request: Request, recording: str = "", job: str = "", told: str = "", seat: Seat = Depends(visitor)
    ) -> Response:
        """
        recording   ask of this one, whatever is known of it
        told        somebody has just said who the host is: the others may be recognised now
        """
        record = studio.library.show(show)
        seen = studio.glances.of(show)
        recordings = {one.id: one for one in studio.library.recordings(show)}
        ordered = watched(request, show, job)
        wanted = [recording] if recording else to_ask(seen.glances)[:ASKED_AT_ONCE]
        return studio.frame.page(
            request,
            "host.html",
            show=record,
            here="Host",
            job=ordered,
            told=bool(told) or (ordered is not None and ordered.kind == "host" and ordered.state is JobState.DONE),
            chosen=recording,
            questions=[one for name in wanted if (one := _question(studio, recordings.get(name))) is not None],
            unknown=sum(not one.host_known for one in seen.glances),
            guessed=sum(one.host_known and one.host_method is HostMethod.GUESSED for one in seen.glances),
            transcripts=sorted(
                (recordings[one.recording] for one in seen.glances if one.recording in recordings),
                key=lambda one: one.title.lower(),
            ),
            unread=seen.unread,
            methods=METHODS,
        )

    @router.get("/shows/{show}/host/voices")
    def voices(show: str, request: Request, seat: Seat = Depends(visitor)) -> Response:
        """Whose voice is known, a part of the page: transcription is asked, which may be away."""
        record = studio.library.show(show)
        problem, known = "", []
        try:
            with closing(studio.crew.client(TRANSCRIPTION, actor_of(request, seat.token))) as client:
                known = client.call("GET", f"/v1/voiceprints/{quote(show, safe='')}").json()
        except ServiceUnavailableError as error:
            problem = str(error)
        return studio.frame.page(request, "voices.html", show=record, known=known, problem=problem)

    return router


def to_ask(glances: Sequence[Glance]) -> list[str]:
    """Recordings to ask of: those whose host is unknown, then those where it was only guessed.

    What many people say much in teaches a voice best: the most speech first.
    """
    asked = [one for one in glances if not one.host_known or one.host_method is HostMethod.GUESSED]
    return [one.recording for one in sorted(asked, key=lambda one: (one.host_known, -one.speech_s))]


def _question(studio: Studio, recording: Recording | None) -> Question | None:
    """None for a recording that was erased meanwhile, or has no transcript."""
    if recording is None:
        return None
    try:
        transcript = studio.library.transcript(recording.show, recording.id)
    except ArtifactMissingError:
        return None
    audio = audio_address(recording)
    return Question(recording, transcript.host_method, tuple(clips_of(transcript, audio)), audio)
