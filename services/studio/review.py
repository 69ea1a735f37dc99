"""The review queue: the turns of a show that the system itself doubts, worst first, and how long they take to check."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from fastapi import APIRouter, Depends, Query

from services.studio.pipeline import demand_show
from shared import keys, recordings
from shared.corrections import ReviewItem, ReviewQueue
from shared.errors import ArtifactMissingError
from shared.schemas import Speaker, Transcript, TranscriptState, Turn
from shared.service import viewer
from shared.store import Store, load
from shared.tokens import Access, Token
from shared.transcripts import transcribed

AROUND_S, DECIDING_S = 4.0, 3.0  # listened to around each turn, and thought about it: estimates
MOST_CACHED = 5000


class ReviewDesk:
    """Doubtful turns by revision; revisions never change, so that each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, tuple[ReviewItem, ...]] = OrderedDict()
        self._guard = Lock()

    def queue(self, show: str, *, recording: str | None = None, limit: int = 100) -> ReviewQueue:
        """raises   NotFoundError for an unknown show; ArtifactMissingError for a recording without a transcript"""
        demand_show(self._store, show)
        names = [recording] if recording else transcribed(self._store, show)
        found = [item for name in names for item in self._doubtful(show, name, demanded=recording is not None)]
        found.sort(key=lambda item: (-item.doubt, item.recording, item.start_s))
        counts: dict[str, int] = {}
        for item in found:
            counts[item.recording] = counts.get(item.recording, 0) + 1
        return ReviewQueue(
            turns=len(found),
            minutes_left=round(sum(_seconds(item) for item in found) / 60, 1),
            recordings=counts,
            items=tuple(found[:limit]),
        )

    def _doubtful(self, show: str, recording: str, *, demanded: bool) -> tuple[ReviewItem, ...]:
        try:
            revision = self._store.get(keys.transcript_head(show, recording)).decode()
            key = keys.transcript(show, recording, revision)
            with self._guard:
                if key in self._known:
                    self._known.move_to_end(key)
                    return self._known[key]
            transcript = load(self._store, key, Transcript)
            title = recordings.read(self._store, show, recording).title
        except ArtifactMissingError:
            if demanded:
                raise
            return ()  # erased since it was listed
        items = doubtful_turns(transcript, title)
        with self._guard:
            self._known[key] = items
            while len(self._known) > MOST_CACHED:
                self._known.popitem(last=False)
        return items


def doubtful_turns(transcript: Transcript, title: str) -> tuple[ReviewItem, ...]:
    """What nobody settled; of an approved transcript nothing."""
    if transcript.state is TranscriptState.APPROVED:
        return ()
    speakers = {speaker.label: speaker for speaker in transcript.speakers}
    return tuple(
        _item(transcript, title, turn, speakers[turn.speaker]) for turn in transcript.turns if turn.needs_review
    )


def _item(transcript: Transcript, title: str, turn: Turn, speaker: Speaker) -> ReviewItem:
    return ReviewItem(
        recording=transcript.recording,
        title=title,
        transcript=transcript.id,
        turn=turn.id,
        speaker=turn.speaker,
        role=turn.role,
        name=speaker.name,
        start_s=turn.start_s,
        end_s=turn.end_s,
        text=turn.text,
        reasons=turn.review_reasons,
        doubt=turn.doubt,
    )


def _seconds(item: ReviewItem) -> float:
    return item.end_s - item.start_s + AROUND_S + DECIDING_S


def review_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/review", tags=["transcripts"])
    desk = ReviewDesk(store)

    @router.get("")
    def queue(
        show: str,
        recording: str | None = None,
        limit: int = Query(100, ge=1, le=5000),
        token: Token = Depends(viewer),
    ) -> ReviewQueue:
        """Doubtful turns, worst first: of all current transcripts of the show, or of one."""
        token.demand(Access.VIEWER, show)
        return desk.queue(show, recording=recording, limit=limit)

    return router
