"""Which is the host? A few seconds of each speaker of a transcript, to listen to and answer. Pure, but for its door."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter, Depends

from services.studio.library import Library
from shared.schemas import Record, Role, Transcript, Turn, Word
from shared.service import viewer
from shared.spoken import words_of
from shared.tokens import Access, Token

CLIP_S = 8.0


class Clip(Record):
    """`audio` is studio's path of just these seconds, as a media fragment; None for a recording without audio."""

    speaker: str
    role: Role
    name: str | None
    speech_s: float
    start_s: float
    end_s: float
    text: str
    audio: str | None


def clips_of(transcript: Transcript, audio: str | None) -> list[Clip]:
    """One clip of each speaker, those who say most first: of their surest turns the longest, cut after CLIP_S.

    audio   path of the recording's web rendition
    """
    found = []
    for speaker in sorted(transcript.speakers, key=lambda one: -one.speech_s):
        own = [turn for turn in transcript.turns if turn.speaker == speaker.label and turn.text.strip()]
        if not own:
            continue
        words = _first(words_of(_surest(own)))
        start_s, end_s = words[0].start_s, words[-1].end_s
        found.append(
            Clip(
                speaker=speaker.label,
                role=speaker.role,
                name=speaker.name,
                speech_s=speaker.speech_s,
                start_s=start_s,
                end_s=end_s,
                text=" ".join(word.text for word in words),
                audio=None if audio is None else f"{audio}#t={start_s:.2f},{end_s:.2f}",
            )
        )
    return found


def _surest(turns: Sequence[Turn]) -> Turn:
    """Where it is least doubtful who talks, and nobody else does, for long enough to know a voice."""
    return max(turns, key=lambda turn: (1 - turn.doubt) * (1 - turn.overlap) * min(turn.end_s - turn.start_s, CLIP_S))


def _first(words: Sequence[Word]) -> Sequence[Word]:
    """The first words, CLIP_S of them; at least one."""
    return [word for word in words if word.end_s - words[0].start_s <= CLIP_S] or words[:1]


def clips_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/transcripts/{recording}/clips", tags=["transcripts"])

    @router.get("")
    def clips(show: str, recording: str, token: Token = Depends(viewer)) -> list[Clip]:
        """A few seconds of each speaker: listen, and say which is the host (`POST /v1/hosts`)."""
        token.demand(Access.VIEWER, show)
        transcript = library.transcript(show, recording)
        heard = library.recording(show, recording).web is not None
        audio = f"/v1/shows/{quote(show)}/recordings/{quote(recording)}/audio" if heard else None
        return clips_of(transcript, audio)

    return router
