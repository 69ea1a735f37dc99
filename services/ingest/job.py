"""The story of one recording: bring a file here, see what it is, refuse it or keep it, once. refresh.py: a source's."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from services.ingest import keeping
from services.ingest.bringing import Brought, Engine, bring, bring_tracks, download_folder
from shared import keys, uploads
from shared.errors import ArtifactMissingError, BadInputError, ConflictError, JobCancelledError, NotFoundError
from shared.jobs import JobContext
from shared.schemas import IngestRequest, IngestResult, Show
from shared.store import Store, create_manifest, load
from shared.subscriptions import KnownItem


def run(request: IngestRequest, *, job: JobContext, store: Store, engine: Engine, downloads: Path) -> IngestResult:
    """A file, an address or several tracks become a recording; the same content twice is the same recording.

    The id comes from the content, manifests are written once, the upload goes last: safe to repeat at any point.
    downloads  where downloads lie until they are whole
    raises     BadInputError and BadAudioError for what cannot be a recording; nothing of it stays in the store
    """
    _check(request)
    for key in _upload_keys(request):
        uploads.upload_bytes(store, key)  # one that is not finished is refused, and may go on
    try:
        found = job.step("import", lambda: _import(request, job, store, engine, downloads).model_dump(mode="json"))
    except (BadInputError, ConflictError, NotFoundError, JobCancelledError):
        _forget_uploads(request, store)
        raise
    job.step("forget the upload", lambda: _forget_uploads(request, store))
    return IngestResult.model_validate(found)


def _import(request: IngestRequest, job: JobContext, store: Store, engine: Engine, downloads: Path) -> IngestResult:
    show = demand_show(store, request.show)
    if request.tracks:
        return keeping.keep_tracks(bring_tracks(request, job, store), show, request, job, store, engine)
    place = download_folder(downloads, request.url, job) if request.url else nullcontext(job.work_dir)
    with place as folder:
        brought = bring(request, folder, job, store, engine)
        job.check()
        result = keeping.keep(brought, show, request, job, store, engine)
    _remember(brought, show, result, job, store)
    return result


def _check(request: IngestRequest) -> None:
    if sum((request.upload_key is not None, request.url is not None, bool(request.tracks))) != 1:
        raise BadInputError("give exactly one of upload_key, url and tracks: uploaded files, or an address")
    if len(request.tracks) == 1:
        raise BadInputError("one track is no multitrack recording; give it as upload_key")
    for key in _upload_keys(request):
        uploads.demand_key(key)


def demand_show(store: Store, slug: str) -> Show:
    try:
        return load(store, keys.show(slug), Show)
    except ArtifactMissingError as error:
        raise NotFoundError(f"there is no show {slug!r}; {keys.advice(keys.show(slug))}") from error


def _remember(brought: Brought, show: Show, result: IngestResult, job: JobContext, store: Store) -> None:
    """That what is at an address is a recording now: a channel that lists it does not bring it again."""
    if brought.identity:
        marker = keys.item(show.slug, keys.item_id(brought.identity))
        create_manifest(store, marker, KnownItem(recording=result.recording, job=job.id))


def _forget_uploads(request: IngestRequest, store: Store) -> None:
    for key in _upload_keys(request):
        uploads.forget_upload(store, key)


def _upload_keys(request: IngestRequest) -> list[str]:
    alone = [request.upload_key] if request.upload_key is not None else []
    return [*alone, *(track.upload_key for track in request.tracks)]
