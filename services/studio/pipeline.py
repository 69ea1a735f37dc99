"""THE STORY: from interviews to a new AI episode, one line per step.

Each step is durable: studio remembers its result, and a restart goes on at the step that was not finished. The work
itself happens in the four services; studio passes keys, never bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.studio.crew import Crew, Failed
from shared import keys
from shared.corrections import HostsFound, MissingTranscribed, ShowRequest
from shared.errors import NotFoundError
from shared.jobs import JobContext
from shared.resuming import read_run
from shared.schemas import (
    DatasetRequest,
    DatasetResult,
    EpisodeRequest,
    EpisodeResult,
    IngestRequest,
    IngestResult,
    PipelineRequest,
    PipelineResult,
    Recording,
    SetHostRequest,
    TrainRequest,
    TrainResult,
    TranscribeRequest,
    TranscriptResult,
)
from shared.store import Store, load
from shared.subscriptions import RefreshRequest, RefreshResult


def run(order: PipelineRequest, *, job: JobContext, store: Store, crew: Crew) -> PipelineResult:
    """Interviews in, AI episode out."""
    demand_show(store, order.show)

    recordings = ingest(order, job, crew)
    brought = [recording.recording for recording in recordings if recording.has_audio]
    spoken = list(dict.fromkeys([*brought, *untranscribed(order, job, store)]))
    transcripts = transcribe(order, spoken, job, crew)
    dataset = crew.ask(job, "dataset", "trainer", "/v1/datasets", dataset_request(order), DatasetResult)
    adapter = crew.ask(job, "train", "trainer", "/v1/adapters", train_request(order, dataset, store), TrainResult)
    episode = write(order, adapter, job, crew)

    return PipelineResult(
        recordings=tuple(recording.recording for recording in recordings),
        transcripts=tuple(transcript.transcript for transcript in transcripts),
        dataset=dataset.dataset,
        adapter=adapter.adapter,
        episode=episode.episode if episode else None,
    )


def ingest(order: PipelineRequest, job: JobContext, crew: Crew) -> list[IngestResult]:
    """What is named one by one, then what the show's sources have grown by."""
    requests = [IngestRequest(show=order.show, **source.model_dump()) for source in order.sources]
    found = crew.ask_each(job, "ingest", "ingest", "/v1/recordings", requests, IngestResult) if requests else []
    asked = [RefreshRequest(show=order.show, source=source) for source in order.subscriptions]
    grown = crew.ask_each(job, "refresh", "ingest", "/v1/refreshes", asked, RefreshResult) if asked else []
    return found + [
        IngestResult(recording=recording, key=keys.recording(order.show, recording), new=True)
        for result in grown
        for recording in result.recordings
    ]


def untranscribed(order: PipelineRequest, job: JobContext, store: Store) -> list[str]:
    """What earlier refreshes brought and nobody has transcribed yet, for an order that names sources of the show."""
    if not order.subscriptions:
        return []
    return job.step("look for what has no transcript", lambda: without_transcript(store, order.show))


def without_transcript(store: Store, show: str) -> list[str]:
    """Ids of the recordings with audio that have no transcript and are not being erased."""
    heads = {key.split("/")[-2] for key in store.list(keys.transcripts(show)) if key.endswith("/head")}
    names = [key.rsplit("/", 1)[1].removesuffix(".json") for key in store.list(keys.recordings(show))]
    waiting = [name for name in names if name not in heads and not store.exists(keys.tombstone(show, name))]
    return [name for name in waiting if load(store, keys.recording(show, name), Recording).working is not None]


def transcribe_missing(order: ShowRequest, *, job: JobContext, store: Store, crew: Crew) -> MissingTranscribed:
    """All recordings of a show that nobody has listened to yet; one that fails does not keep the others."""
    demand_show(store, order.show)
    missing = job.step("look for what has no transcript", lambda: without_transcript(store, order.show))
    requests = [TranscribeRequest(show=order.show, recording=recording) for recording in missing]
    told = crew.try_each(job, "transcribe", "transcription", "/v1/transcripts", requests, TranscriptResult)
    crew.ask(job, "know hosts", "transcription", "/v1/hosts/found", ShowRequest(show=order.show), HostsFound)
    failed = {name: one.problem for name, one in zip(missing, told, strict=True) if isinstance(one, Failed)}
    done = tuple(one.recording for one in told if isinstance(one, TranscriptResult))
    return MissingTranscribed(recordings=done, failed=failed)


def transcribe(order: PipelineRequest, spoken: Sequence[str], job: JobContext, crew: Crew) -> list[TranscriptResult]:
    """The first recording first: once its host is known by voice, the others' host is recognised.

    Where nobody says who the host is, it is the voice that is in all recordings, if there is one.
    """
    requests = [TranscribeRequest(show=order.show, recording=recording) for recording in spoken]
    if not requests:
        return []
    done = crew.ask_each(job, "transcribe first", "transcription", "/v1/transcripts", requests[:1], TranscriptResult)
    if order.host_is:
        host = set_host_request(order.show, spoken[0], order.host_is)
        done = crew.ask_each(job, "set host", "transcription", "/v1/hosts", [host], TranscriptResult)
    if requests[1:]:
        done += crew.ask_each(job, "transcribe", "transcription", "/v1/transcripts", requests[1:], TranscriptResult)
    crew.ask(job, "know hosts", "transcription", "/v1/hosts/found", ShowRequest(show=order.show), HostsFound)
    return done


def write(order: PipelineRequest, adapter: TrainResult, job: JobContext, crew: Crew) -> EpisodeResult | None:
    if order.episode is None:
        return None
    brief = order.episode.model_dump() | {"show": order.show}
    if order.episode.adapter == "best":
        brief["adapter"] = adapter.adapter
    return crew.ask(job, "write", "inference", "/v1/episodes", EpisodeRequest(**brief), EpisodeResult)


def dataset_request(order: PipelineRequest) -> DatasetRequest:
    return DatasetRequest(show=order.show, **order.dataset.model_dump())


def train_request(order: PipelineRequest, dataset: DatasetResult, store: Store) -> TrainRequest:
    """A run that is to be resumed is gone on with if it learns from this dataset; else training begins anew."""
    training = order.training
    if training.resume is not None:
        begun = read_run(store, order.show, training.resume).request
        training = training if begun.dataset == dataset.dataset else training.model_copy(update={"resume": None})
    return TrainRequest(show=order.show, dataset=dataset.dataset, **training.model_dump())


def set_host_request(show: str, recording: str, host_is: str) -> SetHostRequest:
    """`S2` is a speaker's label, `12.5` a second at which the host talks."""
    if host_is.startswith("S"):
        return SetHostRequest(show=show, recording=recording, speaker=host_is)
    return SetHostRequest(show=show, recording=recording, at_s=float(host_is))


def demand_show(store: Store, show: str) -> None:
    if not store.exists(keys.show(show)):
        raise NotFoundError(
            f"there is no show {show!r}; create it with `diary shows create {show} --title ... --host ...`"
        )
