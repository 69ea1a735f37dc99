"""The story of a guest's fact sheet: ingest finds the facts, studio keeps them; what people wrote of a guest stays."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from services.studio.care.memories import Memories
from services.studio.crew import Crew
from services.studio.library import load_each
from services.studio.pipeline import demand_show
from shared import keys
from shared.errors import ArtifactMissingError, ConflictError, NotFoundError
from shared.forgetting import Forgetting
from shared.guests import MOST_IN_SHEET, Fact, GuestFacts, GuestRequest, GuestResult, GuestSheet, guest_id
from shared.jobs import JobContext
from shared.schemas import Lineage, Record, now
from shared.store import Store, create_manifest, load, revise
from shared.urls import check_url
from shared.version import VERSION

MAKE = "guest"


class GivenFacts(Record):
    """All facts of a sheet, as they are to be. `revision` is the one that the person has read."""

    revision: int = Field(ge=1)
    facts: tuple[Fact, ...] = Field(max_length=MOST_IN_SHEET)


def demand(store: Store, request: GuestRequest) -> None:
    """raises   NotFoundError for an unknown show; BadInputError for an address that cannot be fetched"""
    demand_show(store, request.show)
    if request.url is not None:
        check_url(request.url)


# ---- making one ----------------------------------------------------------------------------------------------------


def run(request: GuestRequest, *, job: JobContext, store: Store, crew: Crew) -> GuestResult:
    """Make a guest's sheet, or make it again: then the source's facts are new and people's stay."""
    demand(store, request)
    found = crew.ask(job, MAKE, "ingest", "/v1/guests", request, GuestFacts)
    kept = job.step("keep the facts", lambda: keep(store, found, job).model_dump(mode="json"))
    return GuestResult.model_validate(kept)


def keep(store: Store, found: GuestFacts, job: JobContext) -> GuestResult:
    """Write the sheet, once for this job: a repeat changes nothing that people wrote since."""
    key = keys.guest(found.show, found.guest)
    new = GuestSheet(
        id=found.guest,
        show=found.show,
        name=found.name,
        facts=found.facts,
        url=found.url,
        fetched_at=found.fetched_at,
        changed_by=job.actor,
        lineage=_lineage(found, job),
    )
    sheet = new if create_manifest(store, key, new) else revise(store, key, GuestSheet, lambda known: again(known, new))
    return GuestResult(
        guest=sheet.id,
        name=sheet.name,
        key=key,
        revision=sheet.revision,
        found=sum(fact.by == "source" for fact in sheet.facts),
        kept=sum(fact.by == "person" for fact in sheet.facts),
        warnings=found.warnings,
    )


def _lineage(found: GuestFacts, job: JobContext) -> Lineage:
    read = {"source": found.url or "text", "sentences": found.sentences}
    return Lineage(by="studio", version=VERSION, job=job.id, actor=job.actor, parameters=read)


def again(known: GuestSheet, new: GuestSheet) -> GuestSheet:
    """The sheet with the facts of a source read anew."""
    if known.lineage.job == new.lineage.job:
        return known
    return new.model_copy(update={"facts": merged(known.facts, new.facts), "revision": known.revision + 1})


def merged(known: Sequence[Fact], found: Sequence[Fact]) -> tuple[Fact, ...]:
    """A source's facts in their order, with people's: a corrected one in its place, the others after them."""
    people = [fact for fact in known if fact.by == "person"]
    corrected = {fact.sentence: fact for fact in people if fact.sentence}
    room, facts = MOST_IN_SHEET - len(people), []
    for fact in found:
        if fact.sentence in corrected:
            facts.append(corrected[fact.sentence])
        elif room > 0:
            facts.append(fact)
            room -= 1
    return (*facts, *(fact for fact in people if fact not in facts))


# ---- reading and changing ------------------------------------------------------------------------------------------


def sheets(store: Store, show: str) -> list[GuestSheet]:
    """By name."""
    found = load_each(store, store.list(keys.guests(show)), GuestSheet)
    return sorted(found, key=lambda sheet: (sheet.name.casefold(), sheet.id))


def key_of(store: Store, show: str, guest: str) -> str:
    """Where a guest's sheet lies.

    guest    the sheet's id, or the guest's name in any spelling
    raises   NotFoundError
    """
    for name in (guest, guest_id(guest)):
        if name in _ids(store, show):
            return keys.guest(show, name)
    raise NotFoundError(
        f"{show} has no fact sheet of {guest[:100]!r}; `diary guests list {show}` names those it has, and "
        "`diary guests add` makes one"
    )


def _ids(store: Store, show: str) -> set[str]:
    return {key.rsplit("/", 1)[1].removesuffix(".json") for key in store.list(keys.guests(show))}


def read(store: Store, show: str, guest: str) -> GuestSheet:
    """raises NotFoundError"""
    return load(store, key_of(store, show, guest), GuestSheet)


def change(store: Store, show: str, guest: str, given: GivenFacts, by: str) -> GuestSheet:
    """Set all facts of a sheet; those that are not as they were are this person's.

    raises   NotFoundError; ConflictError if somebody changed it since the revision that was read
    """

    def changed(known: GuestSheet) -> GuestSheet:
        if known.revision != given.revision:
            raise _changed_meanwhile(known, given)
        facts = as_said(given.facts, known.facts)
        if facts == known.facts:
            return known
        update = {"facts": facts, "revision": known.revision + 1, "changed_by": by, "changed_at": now()}
        return known.model_copy(update=update)

    try:
        return revise(store, key_of(store, show, guest), GuestSheet, changed)
    except ArtifactMissingError as error:
        raise NotFoundError(f"the fact sheet of {guest[:100]!r} was removed meanwhile; nothing was changed") from error


def as_said(given: Sequence[Fact], known: Sequence[Fact]) -> tuple[Fact, ...]:
    """Each fact with who says it, and with a sentence only where a source said that sentence."""
    said = {(fact.text, fact.date, fact.sentence, fact.source): fact for fact in known}
    sentences = {(fact.sentence, fact.source) for fact in known}
    facts = []
    for fact in given:
        as_it_was = said.get((fact.text, fact.date, fact.sentence, fact.source))
        is_quoted = (fact.sentence, fact.source) in sentences
        of_whom = {"by": "person"} if is_quoted else {"by": "person", "sentence": "", "source": ""}
        facts.append(as_it_was or fact.model_copy(update=of_whom))
    return tuple(facts)


def _changed_meanwhile(known: GuestSheet, given: GivenFacts) -> ConflictError:
    return ConflictError(
        f"{known.changed_by} changed the facts about {known.name} meanwhile: they are at revision {known.revision}, "
        f"and you have read {given.revision}. Nothing was changed; read them again (`diary guests show`), make your "
        f"change to these, and send revision {known.revision}",
        [{"revision": known.revision, "by": known.changed_by, "at": known.changed_at.isoformat()}],
    )


def remove(store: Store, memories: Memories, show: str, guest: str) -> None:
    """Remove a sheet, and what the services remember of making it; the sheet goes last: a repeat goes on.

    raises   NotFoundError; ConflictError while it is being made; ServiceUnavailableError while a service is away
    """
    sheet = read(store, show, guest)
    asked = Forgetting(
        show=show, words=(sheet.id,), texts=(sheet.name,), jobs=(sheet.lineage.job,), only=(MAKE,), dry_run=True
    )
    unfinished = [job for answer in memories.carry_out(asked) for job in answer.unfinished]
    if waiting := [job for job in unfinished if guest_id(str(job.request.get("name"))) == sheet.id]:
        raise ConflictError(
            f"the fact sheet of {sheet.name} is being made by job {waiting[0].id} ({waiting[0].service}); wait for it, "
            "or cancel it with `diary jobs cancel`, then remove the sheet"
        )
    memories.carry_out(asked.model_copy(update={"dry_run": False}))
    store.delete(keys.guest(show, sheet.id))
