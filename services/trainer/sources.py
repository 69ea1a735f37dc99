"""What a dataset is made from: the current transcripts of a show, and what earlier datasets kept out of training."""

from __future__ import annotations

from services.trainer.dataset import Source
from shared import keys
from shared import recordings as recordings_of
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.schemas import Dataset, DatasetRequest, Transcript
from shared.store import Store, load


def read_sources(request: DatasetRequest, job: JobContext, store: Store) -> list[Source]:
    """The current transcript revision of each recording, in order of recording id.

    raises   BadInputError if the show has none; ArtifactMissingError if one that is named has none
    """
    recordings = sorted(set(request.recordings)) or transcribed_recordings(store, request.show)
    if not recordings:
        raise BadInputError(
            f"show {request.show} has no transcript yet; make them with `diary transcripts make {request.show}`"
        )
    sources = []
    for done, recording_id in enumerate(recordings):
        job.check()
        job.progress("reading transcripts", done, len(recordings), "transcripts")
        revision = store.get(keys.transcript_head(request.show, recording_id)).decode()
        transcript = load(store, keys.transcript(request.show, recording_id, revision), Transcript)
        recording = recordings_of.read(store, request.show, recording_id)
        sources.append(
            Source(
                recording=recording_id,
                transcript=revision,
                title=recording.title,
                guest=recording.guest or transcript.guest,
                host_method=transcript.host_method,
                turns=transcript.turns,
                excluded_spans=recording.excluded_spans,
            )
        )
    return sources


def transcribed_recordings(store: Store, show: str) -> list[str]:
    heads = [key for key in store.list(keys.transcripts(show)) if key.endswith("/head")]
    return sorted(key.split("/")[-2] for key in heads)


def guests_kept_out_before(store: Store, show: str) -> set[str]:
    """Guests whom any dataset of the show kept out of training: they stay out if they can."""
    datasets = [load(store, key, Dataset) for key in store.list(keys.datasets(show))]
    return {guest for dataset in datasets for guest in dataset.eval_guests}
