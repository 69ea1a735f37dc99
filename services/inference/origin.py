"""What an episode says of where it comes from."""

from __future__ import annotations

from services.inference.means import Means
from shared import keys
from shared.guests import guest_id
from shared.models import Base
from shared.schemas import Adapter, Commission, Lineage
from shared.store import Store, made_from
from shared.version import VERSION


def label_of(adapter: Adapter | None, base: Base) -> str:
    return f"{base.name} with {adapter.name}" if adapter else f"{base.name}, not fine-tuned"


def withdrawn_of(commission: Commission, adapter: Adapter | None) -> tuple[str, ...]:
    """Recordings that were erased since the adapter, or the episode that this one revises, learnt from them."""
    return tuple(sorted({*commission.source_withdrawn, *(adapter.source_withdrawn if adapter else ())}))


def lineage_of(
    commission: Commission,
    adapter: Adapter | None,
    base: Base,
    means: Means,
    parameters: dict[str, object],
) -> Lineage:
    show, job, store = commission.brief.show, means.job, means.store
    sheet = keys.guest(show, guest_id(commission.brief.guest))
    knows_more = len(commission.facts) > len(set(commission.brief.facts)) and store.exists(sheet)
    sources = [
        keys.show(show),
        *([sheet] if knows_more else []),
        *_shown(commission, store),
        *([keys.adapter(adapter.show, adapter.name)] if adapter else []),
        *([keys.episode(show, commission.revises)] if commission.revises else []),
    ]
    return Lineage(
        made_from=made_from(store, *sources),
        by="inference",
        version=VERSION,
        job=job.id,
        actor=job.actor,
        parameters=parameters,
        models={base.name: base.revision},
    )


def _shown(commission: Commission, store: Store) -> list[str]:
    """The transcripts that the model was shown a piece of; of one that was erased meanwhile, nothing was."""
    show, found = commission.brief.show, []
    for recording in dict.fromkeys((*commission.openings_of, *commission.excerpts_of)):
        head = keys.transcript_head(show, recording)
        if store.exists(head):
            found.append(keys.transcript(show, recording, store.get(head).decode()))
    return found
