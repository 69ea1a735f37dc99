"""The repeated spans of a show, and a person's word for what each is."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from services.studio.pipeline import demand_show
from shared import classifications, keys
from shared.corrections import Classification, Cluster, Repeats, SpanKind
from shared.errors import NotFoundError
from shared.schemas import Record
from shared.service import actor_of, editor, viewer
from shared.store import Store, load, point
from shared.tokens import Access, Token


class GivenKind(Record):
    kind: SpanKind


def repeats_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows/{show}/repeats", tags=["transcripts"])

    @router.get("")
    def get_repeats(show: str, token: Token = Depends(viewer)) -> Repeats:
        """What is said over and over, as last looked for: where, what it seems to be, what a person said it is."""
        token.demand(Access.VIEWER, show)
        return read(store, show)

    @router.put("/{cluster}")
    def classify(
        show: str, cluster: str, given: GivenKind, request: Request, token: Token = Depends(editor)
    ) -> Cluster:
        """Say what a repeated span is. Adverts and trailers stay out of training, all else comes in."""
        token.demand(Access.EDITOR, show)
        return set_kind(store, show, cluster, given.kind, actor_of(request, token))

    @router.delete("/{cluster}")
    def unclassify(show: str, cluster: str, token: Token = Depends(editor)) -> Cluster:
        """Take that word back: the span stays out of training again."""
        token.demand(Access.EDITOR, show)
        return clear_kind(store, show, cluster)

    return router


def read(store: Store, show: str) -> Repeats:
    """raises   NotFoundError for an unknown show, or before the first search"""
    demand_show(store, show)
    if not store.exists(keys.repeats(show)):
        raise NotFoundError(
            f"nobody has looked for repeated spans in {show} yet; do so with `diary repeats find {show}`"
        )
    found = load(store, keys.repeats(show), Repeats)
    clusters = classifications.classified(found.clusters, classifications.read(store, show))
    return found.model_copy(update={"clusters": clusters})


def one(store: Store, show: str, name: str) -> Cluster:
    found = {cluster.id: cluster for cluster in read(store, show).clusters}
    if name not in found:
        raise NotFoundError(f"{show} has no repeated span {name!r}; `diary repeats list {show}` names those there are")
    return found[name]


def set_kind(store: Store, show: str, name: str, kind: SpanKind, by: str) -> Cluster:
    """raises   NotFoundError"""
    cluster = one(store, show, name)
    said = Classification(id=cluster.id, show=show, kind=kind, grams=cluster.grams, by=by)
    point(store, keys.classification(show, cluster.id), said.model_dump_json().encode())
    return one(store, show, name)


def clear_kind(store: Store, show: str, name: str) -> Cluster:
    """Also what was said of it when it was found under another name, with fewer recordings."""
    cluster = one(store, show, name)
    for said in classifications.read(store, show):
        if classifications.classified([cluster], [said])[0].kind is not None:
            store.delete(keys.classification(show, said.id))
    return one(store, show, name)
