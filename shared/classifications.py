"""What people said repeated spans are: which classification is a cluster's, and whether its words are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared import keys
from shared.corrections import Classification, Cluster, SpanKind
from shared.store import Store, load

SAME_TEXT = 0.5
NO_TALK: tuple[SpanKind | None, ...] = (None, "advert", "trailer")
UNCLASSIFIED = "repeated span, unclassified"


def read(store: Store, show: str) -> tuple[Classification, ...]:
    return tuple(load(store, key, Classification) for key in store.list(keys.classifications(show)))


def classified(clusters: Iterable[Cluster], classifications: Sequence[Classification]) -> tuple[Cluster, ...]:
    """The clusters with the kinds that people gave them.

    A classification holds for a cluster half of whose grams it knows; of several the latest one does. A text that grew
    to more than twice its length is another one: nobody has seen what was added.
    """
    latest_first = sorted(classifications, key=lambda one: (one.at, one.id), reverse=True)
    return tuple(
        cluster.model_copy(update={"kind": next((one.kind for one in latest_first if _knows(one, cluster)), None)})
        for cluster in clusters
    )


def why_left_out(cluster: Cluster) -> str | None:
    """Why a cluster's words stay out of training; None for those that are talk: greetings, closings, what is kept."""
    if cluster.kind not in NO_TALK:
        return None
    return UNCLASSIFIED if cluster.kind is None else f"{cluster.kind}, classified by a person"


def _knows(classification: Classification, cluster: Cluster) -> bool:
    shared = len({*classification.grams} & {*cluster.grams})
    return shared > 0 and shared >= SAME_TEXT * len(cluster.grams)
