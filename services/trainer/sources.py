"""What a dataset is made from: the transcripts of a show, current or named, and what is repeated in them; and what
earlier datasets kept out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.trainer.dataset import Source
from services.trainer.excluded import Repeated
from shared import classifications, keys, repeats
from shared import recordings as recordings_of
from shared.corrections import Cluster, left_out_of
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.repeats import said_in
from shared.schemas import Dataset, DatasetRequest, Recording, Transcript
from shared.store import Store, load
from shared.transcripts import current, transcribed


def read_sources(request: DatasetRequest, job: JobContext, store: Store) -> list[Source]:
    """The transcript revision of each recording, in order of recording id, and which of its words are repeated.

    What is repeated is looked for in all current transcripts of the show, also where only some recordings are asked
    for: two of them may share an advert that is plain only in fifty, and nobody's wish for a small dataset should let
    it in. It is looked for anew, in the very revisions that are taken, so it is never of another state.
    raises   BadInputError if the show has none; ArtifactMissingError if one that is named has none
    """
    there = transcribed(store, request.show)
    if strangers := sorted(set(request.revisions) - {*there, *request.recordings}):
        raise BadInputError(f"revisions are named of recordings that show {request.show} has not: {strangers[0]}")
    wanted = sorted(set(request.recordings)) or there
    if not wanted:
        raise BadInputError(
            f"show {request.show} has no transcript yet; make them with `diary transcripts make {request.show}`"
        )
    sources, said = [], []
    everything = sorted({*there, *wanted})
    for done, recording in enumerate(everything):
        job.check()
        job.progress("reading transcripts", done, len(everything), "transcripts")
        transcript = _revision(store, request, recording)
        said.append(said_in(transcript))
        if recording in wanted:
            sources.append(_source(store, transcript, recordings_of.read(store, request.show, recording)))
    job.progress("looking for repeated spans")
    clusters = classifications.classified(repeats.find(said), classifications.read(store, request.show))
    return [replace(source, repeated=repeated_in(source.recording, clusters)) for source in sources]


def repeated_in(recording: str, clusters: Sequence[Cluster]) -> tuple[Repeated, ...]:
    """The words of a recording that stay out of training as repeated, in order."""
    found = [
        Repeated(place.first_word, place.last_word, why, cluster.id)
        for cluster in clusters
        if (why := classifications.why_left_out(cluster)) is not None
        for place in cluster.places
        if place.recording == recording
    ]
    return tuple(sorted(found, key=lambda one: (one.first_word, one.last_word)))


def _revision(store: Store, request: DatasetRequest, recording: str) -> Transcript:
    """The revision that is asked for, or the current one."""
    named = request.revisions.get(recording)
    if named is None:
        return current(store, request.show, recording)
    return load(store, keys.transcript(request.show, recording, named), Transcript)


def _source(store: Store, transcript: Transcript, recording: Recording) -> Source:
    return Source(
        recording=recording.id,
        transcript=transcript.id,
        title=recording.title,
        guest=_guest(store, recording, transcript),
        host_method=transcript.host_method,
        turns=transcript.turns,
        excluded_spans=left_out_of(transcript, recording.excluded_spans),
        state=transcript.state,
        language=transcript.language,
        facts=recordings_of.facts_of(store, recording.show, recording.id),
    )


def _guest(store: Store, recording: Recording, transcript: Transcript) -> str | None:
    """A person's word for the recording, then for the transcript's speaker, then what was guessed when it came."""
    edits = recordings_of.edits_of(store, recording.show, recording.id)
    return (edits.guest if edits else None) or transcript.guest or recording.guest


def guests_kept_out_before(store: Store, show: str) -> set[str]:
    """Guests whom any dataset of the show kept out of training: they stay out if they can."""
    datasets = [load(store, key, Dataset) for key in store.list(keys.datasets(show))]
    return {guest for dataset in datasets for guest in dataset.eval_guests}
