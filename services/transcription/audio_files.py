"""The working copy of a recording as a file, and what is said of it where there is none."""

from __future__ import annotations

from pathlib import Path

from shared.errors import BadInputError, NotFoundError
from shared.jobs import JobContext
from shared.schemas import Blob, Recording
from shared.space import demand_space
from shared.store import Store, fetch_blob


def working_copy(recording: Recording) -> Blob:
    """raises BadInputError for a recording that came as text"""
    if recording.working is None:
        raise BadInputError(
            f"{recording.id} has no audio: it came as a published transcript, which is its transcript already"
        )
    return recording.working


def working_file(recording: Recording, job: JobContext, store: Store) -> Path:
    """The working copy in the job's folder; raises NotFoundError as `blob_file` does"""
    return blob_file(working_copy(recording), recording, job, store)


def blob_file(audio: Blob, recording: Recording, job: JobContext, store: Store) -> Path:
    """A recording's working copy, or that of one of its tracks, in the job's folder, under the name of its content.

    raises   NotFoundError, saying how to make it again, if it is not stored any more
    """
    path = job.work_dir / f"{audio.sha256[:16]}.flac"
    if path.exists():
        return path
    demand_space(job.work_dir, audio.bytes, "the working copy", setting="TRANSCRIPTION_WORK_DIR")
    if not store.exists(audio.key):
        raise NotFoundError(
            f"the working copy of {recording.id} is not stored any more (a collection removed it, or the show came "
            f"from a text export); add the same audio again with `diary recordings add {recording.show} FILE`"
        )
    return fetch_blob(store, audio, path)
