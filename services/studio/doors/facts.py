"""Correcting what is known of a show or a recording: the doors, and the one way a stored record is changed."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from shared import keys, recordings
from shared.errors import ArtifactMissingError, BadInputError, ConflictError
from shared.schemas import ExcludedSpan, Record, Recording, RecordingChanges, RecordingEdits, ShortText, Show
from shared.service import actor_of, editor, viewer
from shared.store import Store, create_manifest, revise
from shared.tokens import Access, Token

MOST_SPANS = 500


class ShowChanges(Record):
    """What a person changes of a show; what is left out stays as it is."""

    title: ShortText | None = None
    host: ShortText | None = None
    about: str | None = Field(default=None, max_length=2000)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    rights: Literal["own", "licensed", "private"] | None = None
    speakers: int | None = Field(default=None, ge=1, le=8)


class GivenSpan(ExcludedSpan):
    """A span as a person gives it; one that is given back as it was keeps who found it."""

    found_by: Literal["chapters", "sponsorblock", "gap", "person"] = "person"


class GivenChanges(RecordingChanges):
    excluded_spans: tuple[GivenSpan, ...] | None = Field(default=None, max_length=MOST_SPANS)


def facts_door(store: Store) -> APIRouter:
    router = APIRouter(prefix="/v1/shows", tags=["shows"])

    def writer(show: str, token: Token = Depends(editor)) -> Token:
        token.demand(Access.EDITOR, show)
        return token

    @router.patch("/{show}")
    def change(show: str, changes: ShowChanges, token: Token = Depends(writer)) -> Show:
        """Correct facts of a show; fields that are left out stay as they are."""
        return change_show(store, show, changes)

    @router.patch("/{show}/recordings/{recording}")
    def edit(
        show: str, recording: str, changes: GivenChanges, request: Request, token: Token = Depends(writer)
    ) -> Recording:
        """Set title, guest, facts or all excluded spans of a recording; what was found when it came stays on record."""
        return edit_recording(store, show, recording, changes, actor_of(request, token))

    @router.get("/{show}/recordings/{recording}/facts")
    def facts(show: str, recording: str, token: Token = Depends(viewer)) -> tuple[str, ...]:
        """What people said of the guest, a sentence each: the model reads it before the talk."""
        token.demand(Access.VIEWER, show)
        recordings.read(store, show, recording)
        return recordings.facts_of(store, show, recording)

    return router


def change_show(store: Store, slug: str, changes: ShowChanges) -> Show:
    """raises ArtifactMissingError"""
    wanted = changes.model_dump(exclude_none=True)
    return revise(store, keys.show(slug), Show, lambda show: show.model_copy(update=wanted))


def edit_recording(store: Store, show: str, name: str, changes: GivenChanges, by: str) -> Recording:
    """The recording with these changes and all earlier ones.

    raises   ArtifactMissingError, BadInputError for spans that cannot be, ConflictError while it is erased
    """
    recording = recordings.read(store, show, name)
    if store.exists(keys.tombstone(show, name)):
        raise ConflictError(f"recording {name} is being erased; there is nothing to correct any more")
    facts = None if changes.facts is None else tuple(" ".join(fact.split()) for fact in changes.facts)
    wanted = RecordingChanges(title=changes.title, guest=changes.guest, facts=facts).model_dump(exclude_none=True)
    if changes.excluded_spans is not None:
        wanted["excluded_spans"] = checked_spans(changes.excluded_spans, recording)
    key = keys.edits(show, name)
    edits = RecordingEdits(by=by, **wanted)
    if wanted and not create_manifest(store, key, edits):
        revise(store, key, RecordingEdits, lambda known: known.model_copy(update={**wanted, "by": by, "at": edits.at}))
    try:
        return recordings.read(store, show, name)
    except ArtifactMissingError:  # erased meanwhile
        store.delete(key)
        raise


def checked_spans(spans: tuple[GivenSpan, ...], recording: Recording) -> tuple[ExcludedSpan, ...]:
    """In order of time; those that the recording does not have yet are this person's word."""
    if recording.duration_s is None:
        raise BadInputError("this recording has no known length, so there is nothing to leave out by time")
    for span in spans:
        if not span.start_s < span.end_s <= recording.duration_s:
            raise BadInputError(
                f"no span from {span.start_s:g} to {span.end_s:g} s: it must end after it starts, and within the "
                f"recording's {recording.duration_s:.3f} s"
            )
    given = [ExcludedSpan(**span.model_dump()) for span in spans]
    kept = [
        span if span in recording.excluded_spans else span.model_copy(update={"found_by": "person"}) for span in given
    ]
    return tuple(sorted(kept, key=lambda span: (span.start_s, span.end_s)))
