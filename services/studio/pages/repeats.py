"""What a show says over and over, to listen to and classify: adverts and trailers stay out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.studio import classifying
from services.studio.pages.frame import visitor
from services.studio.pages.sessions import Seat
from services.studio.pages.sound import audio_address
from services.studio.pages.studio import Studio
from services.studio.pages.watching import watched
from shared import keys
from shared.classifications import why_left_out
from shared.corrections import Cluster, Place
from shared.schemas import Recording

PLACES_SHOWN = 5
KINDS = {
    "advert": ("Advert", "stays out of training"),
    "trailer": ("Trailer", "stays out of training"),
    "greeting": ("Greeting", "comes in: the host's manner"),
    "closing": ("Closing", "comes in: the host's manner"),
    "keep": ("Keep", "comes in: it is talk"),
}


@dataclass(frozen=True)
class Heard:
    """One place of a repeated span; `title` is None where the recording is gone, `audio` where it has none."""

    place: Place
    title: str | None
    audio: str | None


@dataclass(frozen=True)
class Card:
    cluster: Cluster
    places: tuple[Heard, ...]
    left_out: str | None


def repeats_pages(studio: Studio) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/shows/{show}/repeats")
    def repeats(show: str, request: Request, job: str = "", seat: Seat = Depends(visitor)) -> Response:
        record = studio.library.show(show)
        looked = studio.store.exists(keys.repeats(show))
        found = classifying.read(studio.store, show) if looked else None
        recordings = {one.id: one for one in studio.library.recordings(show)}
        cards = cards_of(found.clusters, recordings) if found else []
        return studio.frame.page(
            request,
            "repeats.html",
            show=record,
            here="Repeated spans",
            job=watched(request, show, job),
            found=found,
            cards=cards,
            left=sum(card.cluster.kind is None for card in cards),
            transcripts=sum(key.endswith("/head") for key in studio.store.list(keys.transcripts(show))),
            kinds=KINDS,
            places_shown=PLACES_SHOWN,
        )

    return router


def cards_of(clusters: Sequence[Cluster], recordings: dict[str, Recording]) -> list[Card]:
    """Those that nobody has classified first, then by how much of the show they are."""
    cards = [Card(one, _heard_at(one.places, recordings), why_left_out(one)) for one in clusters]
    return sorted(cards, key=lambda card: (card.cluster.kind is not None, -card.cluster.words * len(card.places)))


def _heard_at(places: Sequence[Place], recordings: dict[str, Recording]) -> tuple[Heard, ...]:
    known = [(place, recordings.get(place.recording)) for place in places]
    return tuple(Heard(place, one.title if one else None, audio_address(one) if one else None) for place, one in known)
