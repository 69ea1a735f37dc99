"""The review queue: the turns of a show that the system itself doubts, worst first, and how long they take to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Query

from services.studio.glances import Glances
from services.studio.library import Library
from shared.corrections import ReviewItem, ReviewQueue
from shared.service import viewer
from shared.tokens import Access, Token

AROUND_S, DECIDING_S = 4.0, 3.0  # listened to around each turn, and thought about it: estimates


class ReviewDesk:
    """Doubtful turns as the glances have them, with the titles that recordings have now."""

    def __init__(self, library: Library, glances: Glances) -> None:
        self._library = library
        self._glances = glances

    def queue(self, show: str, *, recording: str | None = None, limit: int = 100) -> ReviewQueue:
        """raises   ArtifactMissingError for an unknown show, or for a recording without a transcript"""
        titles = {one.id: one.title for one in self._library.recordings(show)}
        seen = (self._glances.one(show, recording),) if recording else self._glances.all(show)
        found = [
            item.model_copy(update={"title": titles[item.recording]})
            for glance in seen
            for item in glance.doubtful
            if item.recording in titles
        ]
        found.sort(key=lambda item: (-item.doubt, item.recording, item.start_s))
        return ReviewQueue(
            turns=len(found),
            minutes_left=round(review_s(found) / 60, 1),
            recordings=dict(Counter(item.recording for item in found)),
            items=tuple(found[:limit]),
        )


def review_s(items: Sequence[ReviewItem]) -> float:
    """Seconds that it takes to listen to turns, and to decide."""
    return sum(item.end_s - item.start_s + AROUND_S + DECIDING_S for item in items)


def review_door(library: Library, glances: Glances) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/review", tags=["transcripts"])
    desk = ReviewDesk(library, glances)

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
