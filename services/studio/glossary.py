"""A show's glossary: names and brands as they are spelt, hints for the recogniser."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from services.studio.pipeline import demand_show
from shared import keys
from shared.corrections import Glossary
from shared.errors import ArtifactMissingError
from shared.schemas import Record, ShortText
from shared.service import actor_of, editor, viewer
from shared.store import Store, load, point
from shared.tokens import Access, Token


class GivenTerms(Record):
    terms: tuple[ShortText, ...] = Field(max_length=500)


def glossary_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/glossary", tags=["transcripts"])

    @router.get("")
    def get_glossary(show: str, token: Token = Depends(viewer)) -> Glossary:
        """Names as they are spelt."""
        token.demand(Access.VIEWER, show)
        return read(store, show)

    @router.put("")
    def set_glossary(show: str, given: GivenTerms, request: Request, token: Token = Depends(editor)) -> Glossary:
        """Set all terms. Recordings that are transcribed from now on are heard with them."""
        token.demand(Access.EDITOR, show)
        demand_show(store, show)
        glossary = Glossary(show=show, terms=tuple(dict.fromkeys(given.terms)), by=actor_of(request, token))
        point(store, keys.glossary(show), glossary.model_dump_json().encode())
        return glossary

    return router


def read(store: Store, show: str) -> Glossary:
    """An empty one where nobody gave any; raises NotFoundError for an unknown show"""
    demand_show(store, show)
    try:
        return load(store, keys.glossary(show), Glossary)
    except ArtifactMissingError:
        return Glossary(show=show, by="")
