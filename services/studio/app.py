"""Wiring and the public HTTP door: everything a person or a program may ask of the product."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel

from services.studio import pipeline
from services.studio.care.memories import AskOthers, Memories, ask_neighbours
from services.studio.classifying import repeats_door
from services.studio.clips import clips_door
from services.studio.clock import clock
from services.studio.comparisons import COMPARE
from services.studio.crew import Crew, HttpCrew, remote_job_id
from services.studio.doors import care
from services.studio.doors.comparisons import comparisons, comparisons_door
from services.studio.doors.corrections import corrections_door, voiceprints_door
from services.studio.doors.datasets import datasets_door
from services.studio.doors.episodes import episodes_door, questions_door
from services.studio.doors.facts import facts_door
from services.studio.doors.guests import guest_sheets, guests_door
from services.studio.doors.job_logs import AskLogs, ask_logs_of, job_logs_door
from services.studio.doors.media import media_door
from services.studio.doors.nearest import nearest_door
from services.studio.doors.runs import runs_door
from services.studio.doors.status import Statuses, status_door, status_of
from services.studio.doors.tokens import tokens_door
from services.studio.doors.transcripts import transcripts_door
from services.studio.doors.uploads import uploads_door
from services.studio.episode_events import events_door
from services.studio.glances import Glances
from services.studio.glossary import glossary_door
from services.studio.library import Library, summary
from services.studio.machine import host
from services.studio.neighbours import Neighbours
from services.studio.orders import REVISE, WRITE, orders
from services.studio.pages.door import add_pages
from services.studio.pages.frame import Frame
from services.studio.pages.gate import LOGIN
from services.studio.pages.shelf import Shelf
from services.studio.pages.studio import Studio
from services.studio.resuming import Resuming
from services.studio.review import review_door
from services.studio.rounds import make_round
from services.studio.settings import Settings
from services.studio.sources import sources_door
from shared import keys, machine, preflight
from shared.corrections import (
    BatchResult,
    HostsFound,
    ImportTranscriptRequest,
    RenameRequest,
    RepeatsResult,
    ReplaceRequest,
    ReplaceResult,
    ShowRequest,
    UndoBatchRequest,
)
from shared.jobs import JobContext
from shared.needs import Finding
from shared.preflight import Checks
from shared.renderings import RenderRequest, RenderResult
from shared.schemas import (
    DatasetRequest,
    DatasetResult,
    EpisodeTurn,
    IngestRequest,
    IngestResult,
    Job,
    PipelineRequest,
    SetHostRequest,
    Show,
    TrainRequest,
    TrainResult,
    TranscribeRequest,
    TranscriptResult,
)
from shared.service import JobRoute, editor, job_service, open_store, serve, viewer
from shared.store import Store
from shared.subscriptions import RefreshRequest, RefreshResult
from shared.tokens import Access, Token, TokenBook

# what a person may ask for one by one: path, kind, service, request, result, and what it does
SINGLE_STEPS = (
    ("/v1/recordings", "ingest", "ingest", IngestRequest, IngestResult,
     "Bring in one recording: a file that was uploaded, or an address."),
    ("/v1/refreshes", "refresh", "ingest", RefreshRequest, RefreshResult,
     "Look for what is new in a source, and bring it in; with `dry_run` only say what would come."),
    ("/v1/transcripts", "transcribe", "transcription", TranscribeRequest, TranscriptResult,
     "Transcribe a recording, and work out who spoke."),
    ("/v1/hosts", "host", "transcription", SetHostRequest, TranscriptResult,
     "Say who the host of a recording is; the voice is learnt from it."),
    ("/v1/hosts/found", "find-host", "transcription", ShowRequest, HostsFound,
     "Find the voice that is in all recordings of a show: the host's, where nobody has said."),
    ("/v1/recognitions", "recognise", "transcription", ShowRequest, HostsFound,
     "Recognise the host by voice in transcripts where it is not known."),
    ("/v1/repeats", "repeats", "transcription", ShowRequest, RepeatsResult,
     "Look for what is said nearly word for word in several recordings: adverts, greetings."),
    ("/v1/replacements", "replace", "transcription", ReplaceRequest, ReplaceResult,
     "Find and replace over all transcripts of a show; a dry run lists the places."),
    ("/v1/renamings", "rename", "transcription", RenameRequest, BatchResult,
     "Rename a speaker in all transcripts of a show."),
    ("/v1/undone-batches", "undo-batch", "transcription", UndoBatchRequest, BatchResult,
     "Take back an order over several transcripts."),
    ("/v1/transcript-files", "import-transcript", "transcription", ImportTranscriptRequest, TranscriptResult,
     "Make a transcript file that was uploaded a revision of a recording's transcript."),
    ("/v1/datasets", "dataset", "trainer", DatasetRequest, DatasetResult,
     "Build a dataset from a show's transcripts, with a report of what is in it."),
    ("/v1/renderings", "render", "inference", RenderRequest, RenderResult,
     "Speak an AI episode in two stock voices."),
)  # fmt: skip


def create_app(
    store: Store,
    crew: Crew,
    settings: Settings,
    checks: Checks = list,
    rounds: Checks = list,
    statuses: Statuses = list,
    ask_others: AskOthers = lambda forgetting: [],
    ask_logs: AskLogs = lambda trace_id: [],
) -> FastAPI:
    """Build studio.

    checks     what studio itself needs of its machine
    rounds     what all services say of theirs
    statuses   how the other services are
    ask_others   what they remember of a recording that is erased, and have them forget it
    ask_logs   what they have logged of a trace
    """
    memories, library, glances = Memories(ask_others), Library(store), Glances(store)
    book = TokenBook(settings.tokens_file, settings.state_dir / "tokens.json")
    erasing = care.erasures(store, memories)
    resuming = Resuming(store, lambda: memories.own)

    def demand(request: Any) -> None:
        pipeline.demand_show(store, request.show)

    def demand_training(request: TrainRequest) -> None:
        demand(request)
        resuming.demand(request)

    def demand_story(request: PipelineRequest) -> None:
        demand(request)
        resuming.demand_story(request)

    routes = [
        JobRoute(
            "/v1/pipelines",
            "pipeline",
            PipelineRequest,
            partial(pipeline.run, store=store, crew=crew),
            demand_story,
            settle=resuming.settle_story,
            again=resuming.story_again,
            words="Do everything in one order: bring in, transcribe, build, train, and write an AI episode.",
        ),
        JobRoute(
            "/v1/transcripts/missing",
            "transcribe-missing",
            ShowRequest,
            partial(pipeline.transcribe_missing, store=store, crew=crew),
            demand,
            words="Transcribe all recordings of a show that have no transcript; a failed one does not stop the others.",
        ),
        *(
            JobRoute(
                path, kind, request, partial(_one_step, crew, store, kind, service, path, result), demand, words=does
            )
            for path, kind, service, request, result, does in SINGLE_STEPS
        ),
        JobRoute(
            "/v1/adapters",
            "train",
            TrainRequest,
            partial(_one_step, crew, store, "train", "trainer", "/v1/adapters", TrainResult),
            demand_training,
            settle=resuming.settle,
            again=resuming.again,
            words="Train a LoRA adapter on a dataset; with `resume`, go on with a run that was stopped.",
        ),
        *orders(store, crew),
        comparisons(store, crew),
        guest_sheets(store, crew),
        care.collections(store, settings),
        erasing,
    ]
    routers = [
        _shows_door(library),
        facts_door(store),
        transcripts_door(library),
        clips_door(library),
        review_door(library, glances),
        glossary_door(store),
        repeats_door(store),
        media_door(store),
        datasets_door(store),
        episodes_door(library, store),
        questions_door(library),
        events_door(library),
        nearest_door(store),
        comparisons_door(library),
        runs_door(store),
        sources_door(store),
        uploads_door(store, settings.max_upload_bytes),
        _preflight_door(rounds),
        status_door(statuses),
        corrections_door(crew),
        voiceprints_door(crew),
        guests_door(store, memories),
        tokens_door(store, book),
        job_logs_door(ask_logs),
        *care.doors(store, settings),
        care.erasures_door(store, memories, erasing),
        clock(store, settings),
    ]
    app = job_service(
        "studio", settings, store, routes, routers=routers, links=_links, checks=checks, without_token=(LOGIN,)
    )
    app.state.tokens = book
    memories.own = app.state.jobs
    studio = Studio(store, library, glances, Shelf(store), crew, book, statuses, ask_logs, Frame())
    add_pages(app, studio, settings.service_token.get_secret_value(), timedelta(hours=settings.session_hours))
    return app


def _links(job: Job) -> dict[str, str]:
    """Where an episode can be read while it is written, or what is compared, once it is."""
    if job.kind == COMPARE:
        return {"comparison": f"/v1/shows/{job.show}/comparisons/{keys.comparison_id(job.id)}"}
    if job.kind not in (WRITE, REVISE, "pipeline"):
        return {}
    episode = keys.episode_id(remote_job_id(job.id, REVISE if job.kind == REVISE else WRITE))
    place = f"/v1/shows/{job.show}/episodes/{episode}"
    return {"turns": f"{place}/turns", "stream": f"{place}/events?job={job.id}"}


def _one_step(
    crew: Crew,
    store: Store,
    kind: str,
    service: str,
    path: str,
    result: type[BaseModel],
    request: Any,
    *,
    job: JobContext,
) -> BaseModel:
    pipeline.demand_show(store, request.show)
    return crew.ask(job, kind, service, path, request, result)


def main() -> FastAPI:
    """Wire the real store and the services that the settings name."""
    settings = Settings()
    urls = {
        "ingest": settings.ingest_url,
        "transcription": settings.transcription_url,
        "trainer": settings.trainer_url,
        "inference": settings.inference_url,
    }
    token, checks = settings.service_token.get_secret_value(), partial(look, settings)
    neighbours = Neighbours(urls, token)
    rounds, statuses = partial(make_round, checks, neighbours), partial(neighbours.ask_all, status_of)
    ask_others, ask_logs = partial(ask_neighbours, neighbours), partial(ask_logs_of, neighbours)
    return create_app(open_store(), HttpCrew(urls, token), settings, checks, rounds, statuses, ask_others, ask_logs)


def look(settings: Settings) -> list[Finding]:
    """What studio needs of its machine."""
    return [host.judge_memory(machine.memory_bytes()), *preflight.volumes("studio", settings)]


def _preflight_door(rounds: Checks) -> APIRouter:
    router = APIRouter(prefix="/v1/preflight", tags=["status"])

    @router.get("")
    def all_findings(token: Token = Depends(viewer)) -> list[Finding]:
        """What every service's machine has and lacks: what `diary doctor` prints."""
        return rounds()

    return router


def _shows_door(library: Library) -> APIRouter:
    router = APIRouter(prefix="/v1/shows", tags=["shows"])

    def reader(show: str, token: Token = Depends(viewer)) -> str:
        token.demand(Access.VIEWER, show)
        return show

    @router.post("", status_code=201)
    def create_show(show: Show, token: Token = Depends(editor)) -> Show:
        """Make a show; the same again changes nothing, other facts under its short name are a conflict."""
        token.demand(Access.EDITOR, show.slug)
        return library.create_show(show)

    @router.get("")
    def list_shows(token: Token = Depends(viewer)) -> list[Show]:
        """All shows; its own for a token that is for one show."""
        return [show for show in library.shows() if token.show in (None, show.slug)]

    @router.get("/{show}")
    def get_show(show: str = Depends(reader)) -> Show:
        """Its facts: title, host, language, and the right to use the audio."""
        return library.show(show)

    for noun, many, one in (
        ("recordings", library.recordings, library.recording),
        ("transcripts", library.transcripts, library.transcript),
        ("datasets", library.datasets, library.dataset),
        ("adapters", library.adapters, library.adapter),
        ("episodes", library.episodes, library.episode),
        ("questions", library.questions, library.question_sheet),
    ):
        told = f"All {noun}, without their long parts."
        router.add_api_route(f"/{{show}}/{noun}", _lister(many, reader), name=f"list {noun}", description=told)
        router.add_api_route(
            f"/{{show}}/{noun}/{{name}}", _getter(one, reader), name=f"get one of {noun}", description="One, whole."
        )

    @router.get("/{show}/episodes/{name}/turns")
    def episode_turns(name: str, after: int = -1, show: str = Depends(reader)) -> list[EpisodeTurn]:
        """Turns written so far: poll it with the last index you have and read the episode as it grows."""
        return library.episode_turns(show, name, after)

    return router


def _lister(many: Any, reader: Any) -> Any:
    def list_them(show: str = Depends(reader)) -> list[dict[str, Any]]:
        return [summary(record) for record in many(show)]

    return list_them


def _getter(one: Any, reader: Any) -> Any:
    def get_one(name: str, show: str = Depends(reader)) -> Any:
        return one(show, name).model_dump(mode="json")

    return get_one


if __name__ == "__main__":
    serve("studio", main, Settings().port)
