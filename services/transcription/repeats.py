"""The story of what a show says over and over: all its current transcripts become clusters of repeated spans."""

from __future__ import annotations

from shared import classifications, keys
from shared import repeats as spans
from shared.corrections import Repeats, RepeatsResult, ShowRequest
from shared.jobs import JobContext
from shared.schemas import Show
from shared.store import Store, load, point
from shared.transcripts import current, transcribed


def run(request: ShowRequest, *, job: JobContext, store: Store) -> RepeatsResult:
    """Look for repeated spans as the transcripts are now; what people said about them before holds on.

    A repeat looks again and overwrites what it found.
    """
    show = load(store, keys.show(request.show), Show)
    recordings = transcribed(store, show.slug)
    said = []
    for done, recording in enumerate(recordings):
        job.check()
        job.progress("reading transcripts", done, len(recordings), "transcripts")
        said.append(spans.said_in(current(store, show.slug, recording)))
    job.progress("looking for repeated spans")
    clusters = classifications.classified(spans.find(said), classifications.read(store, show.slug))
    job.check()

    found = Repeats(show=show.slug, transcripts={one.recording: one.transcript for one in said}, clusters=clusters)
    point(store, keys.repeats(show.slug), found.model_dump_json().encode())
    return RepeatsResult(
        clusters=len(clusters),
        unclassified=sum(cluster.kind is None for cluster in clusters),
        places=sum(len(cluster.places) for cluster in clusters),
        words=sum(place.last_word - place.first_word for cluster in clusters for place in cluster.places),
    )
